"""Inference runtimes for the screen on this machine: speed, start-up, size, memory, agreement with PyTorch.

    python benchmarks/runtime.py [--weights src/interceptor/weights] [--rounds 5] [--batch 16]

Each variant runs in a process of its own (so that its peak memory is its own); rounds are interleaved, medians are
given.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
VARIANTS = {
    "OpenVINO bf16, 8-bit weights, dynamic 8-bit activations": {
        "engine": "openvino",
        "precision": "bf16",
        "quantized": True,
    },
    "OpenVINO bf16, 8-bit weights": {"engine": "openvino", "precision": "bf16", "quantized": False},
    "OpenVINO f32, 8-bit weights, dynamic 8-bit activations": {
        "engine": "openvino",
        "precision": "f32",
        "quantized": True,
    },
    "OpenVINO f32, 8-bit weights": {"engine": "openvino", "precision": "f32", "quantized": False},
    "ONNX Runtime fp32, 8-bit weights": {"engine": "onnxruntime", "expand": False},
    "ONNX Runtime fp32, weights multiplied out": {"engine": "onnxruntime", "expand": True},
}


def crops(count: int) -> np.ndarray:
    """Smooth random pictures, uint8[count, 224, 224, 3]: speed does not depend on what is seen, agreement hardly."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:224, :224] / 224
    waves = [np.sin(rng.uniform(2, 30) * x + rng.uniform(2, 30) * y) for _ in range(count * 3)]
    return (127 + 90 * np.stack(waves).reshape(count, 3, 224, 224).transpose(0, 2, 3, 1)).astype(np.uint8)


def load(folder: Path, settings: dict) -> tuple:
    """(callable from crops to logits, start-up seconds)."""
    start = time.perf_counter()
    if settings["engine"] == "openvino":
        from interceptor.runtime.network import Network

        network = Network(folder / "screen.onnx", precision_hint=settings["precision"], quantized=settings["quantized"])
        return (lambda images: network(images)[0]), time.perf_counter() - start
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    if settings["expand"]:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        options.add_session_config_entry("session.enable_dq_matmulnbits_fusion", "0")
    session = onnxruntime.InferenceSession(str(folder / "screen.onnx"), options, providers=["CPUExecutionProvider"])
    return (lambda images: session.run(["logit"], {"crops": images})[0]), time.perf_counter() - start


def child(folder: Path, settings: dict, batch: int) -> None:
    """One process: load, then time one batch for each line read; a JSON line each."""
    score, seconds = load(folder, settings)
    images = crops(batch)
    logits = score(images)
    print(json.dumps({"start": seconds, "logits": logits.tolist()}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        score(images)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"rate": batch / (time.perf_counter() - start), "peak": peak}), flush=True)


def reference(folder: Path, batch: int) -> np.ndarray:
    """The same logits by PyTorch in float32."""
    import torch

    from interceptor.models.foundation import TAPS, WIDTH, Foundation
    from interceptor.training.export import load_base, read_tuned

    base, tuned = load_base(folder / "foundation.safetensors"), read_tuned(folder / "screen.onnx")
    foundation = Foundation(base).eval()
    with torch.no_grad():
        for name, parameter in foundation.tunable().items():
            parameter.copy_(tuned[name])
        tokens = foundation(torch.from_numpy(crops(batch)).permute(0, 3, 1, 2))
        patch, token = tuned["readout.weight"].view(2, len(TAPS), WIDTH)
        logits = tuned["readout.bias"].clone().expand(batch).clone()
        for (patches, classes), w, c in zip(tokens, patch, token, strict=True):
            logits += patches.mean(1) @ w + classes @ c
    return logits.numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=ROOT / "src" / "interceptor" / "weights")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.weights, json.loads(arguments.child), arguments.batch)
        return
    workers = {}
    for name, settings in VARIANTS.items():
        command = [sys.executable, __file__, "--weights", str(arguments.weights), "--batch", str(arguments.batch)]
        command += ["--child", json.dumps(settings)]
        workers[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    first = {name: json.loads(worker.stdout.readline()) for name, worker in workers.items()}
    rates: dict[str, list[float]] = {name: [] for name in workers}
    peak = {}
    for _ in range(arguments.rounds):
        for name, worker in workers.items():
            worker.stdin.write("\n")
            worker.stdin.flush()
            line = json.loads(worker.stdout.readline())
            rates[name].append(line["rate"])
            peak[name] = line["peak"]
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    truth = reference(arguments.weights, arguments.batch)
    print("| variant | crops/s | start-up s | peak MB | largest logit difference | correlation |")
    print("|---|---|---|---|---|---|")
    for name in workers:
        logits = np.array(first[name]["logits"])
        print(
            f"| {name} | {statistics.median(rates[name]):.1f} | {first[name]['start']:.2f} | {peak[name]:.0f} "
            f"| {np.abs(logits - truth).max():.3f} | {np.corrcoef(logits, truth)[0, 1]:.4f} |"
        )


if __name__ == "__main__":
    main()
