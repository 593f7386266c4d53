"""The student beside the screen: crops a second and accuracy on the same crops, batches of the two taken in turns.

python benchmarks/student.py --data FACES/dfdc_faces --data FACES/generated_faces [--limit 400] [--batch 16]
    [--student FOLDER] [--weights src/interceptor/weights]
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from interceptor.datasets.crops import read_crop, read_index
from interceptor.metrics.classification import roc_auc
from interceptor.runtime.network import Network

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--limit", type=int, help="crops of each data set, drawn at random")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--weights", type=Path, default=ROOT / "src" / "interceptor" / "weights")
    parser.add_argument("--student", type=Path, help="folder of student.onnx, where it is another one")
    arguments = parser.parse_args()
    networks = {
        "student": Network((arguments.student or arguments.weights) / "student.onnx", outputs=("logit",)),
        "screen": Network(arguments.weights / "screen.onnx", outputs=("logit",)),
    }
    for network in networks.values():  # the first run of a shape compiles for it
        network(np.zeros((arguments.batch, 224, 224, 3), np.uint8))
    rates: dict[str, list[float]] = {name: [] for name in networks}
    print("| crops of | authentic | forged | student AUC | screen AUC | correlation |\n|---|---|---|---|---|---|")
    for folder in arguments.data:
        crops = read_index(folder, arguments.split)
        crops = [crops[i] for i in np.random.default_rng(0).permutation(len(crops))[: arguments.limit]]
        logits: dict[str, list[np.ndarray]] = {name: [] for name in networks}
        for i in range(0, len(crops), arguments.batch):
            pictures = np.stack([read_crop(crop.path)[0] for crop in crops[i : i + arguments.batch]])
            for name, network in networks.items():
                start = time.perf_counter()
                logits[name].append(network(pictures)[0])
                if len(pictures) == arguments.batch:
                    rates[name].append(arguments.batch / (time.perf_counter() - start))
        labels = np.array([crop.label for crop in crops])
        student, screen = (np.concatenate(logits[name]) for name in networks)
        both = 0 < labels.sum() < len(labels)
        aucs = " | ".join(f"{roc_auc(labels, found):.3f}" if both else "" for found in (student, screen))
        counts = f"{(labels == 0).sum()} | {(labels == 1).sum()}"
        print(f"| {folder.resolve().name} | {counts} | {aucs} | {np.corrcoef(student, screen)[0, 1]:.3f} |")
    middle = {name: statistics.median(found) for name, found in rates.items()}
    print(f"\ncrops a second, median of {len(rates['student'])} batches of {arguments.batch}: ", end="")
    print(", ".join(f"{name} {rate:.1f}" for name, rate in middle.items()), end="; ")
    print(f"the student is {middle['student'] / middle['screen']:.1f} times as fast")


if __name__ == "__main__":
    main()
