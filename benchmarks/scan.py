"""How long a scan takes, step by step, and how much memory:

    python benchmarks/scan.py [--rounds 7] [--hour] [--tier fast|standard] [--specialists none|...]

Makes its own clip: a face that drifts before a noisy background, H.264 by x264 `medium`, with sound. Scans run in a
process of their own; medians over the rounds after a warm-up scan. `--hour` scans one hour of 1080p instead: twenty
seconds, encoded once and repeated without encoding, kept in the temporary folder. Processor seconds are those of all
threads: on a machine that does other work too, they say what a scan costs.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

RATE = 30
SOUND_RATE = 48_000
STEPS = ("decode", "detect", "classify", "specialists")


def write_clip(path: Path, width: int, height: int, seconds: int) -> None:
    """A face a third of the frame high, and a tone."""
    from skimage.data import astronaut

    portrait = astronaut()[:260, 90:350]
    side = height // 2
    portrait = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng(0)
    scene = cv2.resize(
        rng.integers(40, 200, (9, 16, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
    )
    scene = cv2.add(scene, rng.integers(0, 12, scene.shape, dtype=np.uint8))
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"preset": "medium", "crf": "23"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        sound = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        for i in range(seconds * RATE):
            turn = 2 * np.pi * i / (seconds * RATE)
            left = int((width - side) * (0.5 + 0.3 * np.sin(turn)))
            top = int((height - side) * (0.5 + 0.3 * np.sin(2 * turn)))
            frame = scene.copy()
            frame[top : top + side, left : left + side] = portrait
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(video.encode())
        tone = 0.2 * np.sin(2 * np.pi * 220 * np.arange(seconds * SOUND_RATE) / SOUND_RATE)
        samples = av.AudioFrame.from_ndarray(tone.astype(np.float32)[None], format="fltp", layout="mono")
        samples.sample_rate = SOUND_RATE
        container.mux(sound.encode(samples))
        container.mux(sound.encode())


def repeat(source: Path, target: Path, times: int) -> None:
    """The packets of a clip's video, over and over."""
    unfinished = target.with_suffix(".part.mp4")
    with av.open(str(source)) as clip, av.open(str(unfinished), "w") as container:
        video = clip.streams.video[0]
        stream = container.add_stream_from_template(video)
        for number in range(times):
            clip.seek(0)
            for packet in clip.demux(video):
                if packet.size:
                    packet.pts += number * video.duration
                    packet.dts += number * video.duration
                    packet.stream = stream
                    container.mux(packet)
    unfinished.replace(target)


def child(path: Path, rounds: int, tier: str, specialists: str) -> None:
    """Load, say so, scan once to warm up and then `rounds` times; a line of JSON each."""
    from interceptor.detect.router import parse_choice
    from interceptor.detect.scan import Scanner

    scanner = Scanner(tier=tier, specialists=parse_choice(specialists))
    print("ready", flush=True)
    for _ in range(1 + rounds):
        start, cpu = time.perf_counter(), time.process_time()
        result = scanner.scan(path)
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        found = {"wall": wall, "cpu": cpu, "peak": peak, "timings": result.timings, "coverage": result.coverage}
        print(json.dumps(found, default=lambda model: model.model_dump()), flush=True)


def measure(path: Path, rounds: int, options: Sequence[str] = ()) -> tuple[float, list[dict[str, Any]]]:
    """(start-up seconds: from starting Python to a scanner that is ready, one record for each scan)."""
    start = time.perf_counter()
    command = [sys.executable, __file__, "--child", str(path), "--rounds", str(rounds), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise SystemExit("the scanner did not start")
        ready = time.perf_counter() - start
        records = [json.loads(line) for line in process.stdout]
    if process.returncode:
        raise SystemExit(process.returncode)
    return ready, records


def print_steps(ready: float, records: list[dict[str, Any]]) -> None:
    warm = records[1:]
    total = statistics.median(record["wall"] for record in warm)
    steps = {step: statistics.median(record["timings"][step] for record in warm) for step in STEPS}
    coverage = warm[-1]["coverage"]
    print(
        f"{coverage['frames_decoded']} frames decoded, {coverage['frames_with_face']} with a face, "
        f"{coverage['crops_scored']} crops scored; medians of {len(warm)} scans\n"
    )
    print("| step | seconds | share |\n|---|---|---|")
    for step, seconds in steps.items():
        print(f"| {step} | {seconds:.3f} | {seconds / total:.0%} |")
    rest = statistics.median(record["wall"] - sum(record["timings"][step] for step in STEPS) for record in warm)
    print(f"| checksum and the rest | {rest:.3f} | {rest / total:.0%} |")
    print(f"| **total** | **{total:.3f}** | |")
    print(f"| total of the first scan (compiles the detector) | {records[0]['wall']:.3f} | |")
    print(f"| start-up (Python, imports, weights) | {ready:.3f} | |")
    print(f"| processor seconds of a scan | {statistics.median(record['cpu'] for record in warm):.3f} | |")
    print(f"\nPeak memory: {warm[-1]['peak']:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--hour", action="store_true", help="one hour of 1080p: time and peak memory of one scan")
    parser.add_argument("--tier", choices=("fast", "standard"), default="standard")
    parser.add_argument("--specialists", default="auto", help="as of `interceptor scan`")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.rounds, arguments.tier, arguments.specialists)
        return
    folder = Path(tempfile.gettempdir()) / "interceptor-benchmark"
    folder.mkdir(exist_ok=True)
    if arguments.hour:
        hour = folder / "hour.mp4"
        if not hour.exists():
            with tempfile.TemporaryDirectory() as scratch:
                write_clip(Path(scratch, "clip.mp4"), 1920, 1080, 20)
                repeat(Path(scratch, "clip.mp4"), hour, 180)
        _, (record,) = measure(hour, 0)
        coverage = record["coverage"]
        print(f"{hour}: {hour.stat().st_size / 1e6:.0f} MB, {coverage['frames_decoded']} frames decoded,", end=" ")
        print(f"{coverage['crops_scored']} crops scored, failures {coverage['failures']}")
        print(f"scan {record['wall']:.2f} s", {step: round(record["timings"][step], 2) for step in STEPS}, end=", ")
        print(f"peak memory {record['peak']:.0f} MB")
        return
    clip = folder / "clip.mp4"
    write_clip(clip, 1280, 720, 10)
    ready, records = measure(clip, arguments.rounds, ["--tier", arguments.tier, "--specialists", arguments.specialists])
    print_steps(ready, records)


if __name__ == "__main__":
    main()
