"""Training input: samples from shards against opening the video and seeking for every sample.

    python benchmarks/shards.py --folder DIR   # the miniature FaceForensics++ made and prepared there, if it is not yet
    python benchmarks/shards.py --folder DIR --set faceforensics --root DATA/faceforensics

Both give the aligned crop of the same random moments, on one thread, taking turns: `seek` opens the file, goes to the
key frame before the moment, decodes up to it, finds the face and cuts it, as a loader without prepared data must;
`seek, face known` leaves out the search for the face. Medians over rounds, in crops per second; the ratio is to `seek`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from interceptor.datasets.mini import make_mini
from interceptor.datasets.prepare import prepare
from interceptor.datasets.registry import read_set
from interceptor.datasets.samples import Sampling
from interceptor.datasets.shards import Row, Shards
from interceptor.detect.detector import load_detector
from interceptor.media import probe
from interceptor.media.crops import cut
from interceptor.media.windows import WindowReader


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="keeps the prepared samples for another run")
    parser.add_argument("--set", default="faceforensics")
    parser.add_argument("--root", type=Path, help="the set on disk; a miniature is made where it is not given")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seeks", type=int, default=4, help="of each round")
    parser.add_argument("--reads", type=int, default=400, help="of each round")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        root = options.root or folder / "mini"
        if not root.exists():
            make_mini(options.set, root)
        out = folder / "prepared"
        make = partial(load_detector, threads=1)
        summary = prepare(read_set(options.set, root), out, Sampling(), make, workers=os.cpu_count() or 1)
        print(f"{summary['samples']} samples of {summary['videos']} videos")
        measure(Shards(out), root, options.rounds, options.seeks, options.reads)


def measure(shards: Shards, root: Path, rounds: int, seeks: int, reads: int) -> None:
    detector = load_detector(threads=1)
    infos = {row.video: probe(root / row.video) for row in shards.rows}

    def frame(row: Row) -> np.ndarray:
        return next(iter(WindowReader(root / row.video, infos[row.video], row.time, 0.01, threads=1))).rgb

    def seek(i: int) -> np.ndarray:
        rgb = frame(shards.rows[i])
        return cut(rgb, detector(rgb)[0].landmarks)

    landmarks = {i: detector(frame(row))[0].landmarks for i, row in enumerate(shards.rows[: rounds * seeks])}

    def known(i: int) -> np.ndarray:
        return cut(frame(shards.rows[i]), landmarks[i])

    def crop(i: int) -> np.ndarray:
        return shards.read(i, views=()).crops[0]

    def everything(i: int) -> np.ndarray:
        return shards.read(i).crops[0]

    check = [np.abs(seek(i).astype(int) - crop(i)).mean() for i in list(landmarks)[:seeks]]
    print(f"mean difference of the same crops: {max(check):.2f} levels")
    rng = np.random.default_rng(0)
    ways: dict[str, tuple[Callable[[int], np.ndarray], int]] = {
        "seek": (seek, seeks),
        "seek, face known": (known, seeks),
        "shards, crop": (crop, reads),
        "shards, everything": (everything, reads),
    }
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (way, count) in ways.items():
            chosen = rng.integers(0, len(landmarks) if count == seeks else len(shards), count)
            start = time.perf_counter()
            for i in chosen:
                way(int(i))
            speeds[name].append(count / (time.perf_counter() - start))
    for name, found in speeds.items():
        ratios = [a / b for a, b in zip(found, speeds["seek"], strict=True)]
        print(f"{name:20} {statistics.median(found):8.1f} crops/s   x {statistics.median(ratios):6.1f}")


if __name__ == "__main__":
    main()
