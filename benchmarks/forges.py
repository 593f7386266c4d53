"""What forging costs: `python benchmarks/forges.py [--rounds 25]`; with `--leaks DATA [--limit 150]` instead what the
leak audit makes of forges that leak, on the authentic crops of DATA.

Milliseconds of processor time, medians (on a busy machine steadier than the clock), and the least wall time. `crop`: a
clip of one aligned crop, as a training set has it. `clip`: four moments with context, neighbours and native crops of
400 pixels (20 pictures in all). `sound`: 5 s of mouth and sound. Pictures are smooth random waves with grain.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from interceptor.datasets.crops import read_index
from interceptor.evaluation.audit import audit_pictures
from interceptor.forges.blend import Forged
from interceptor.forges.codecs import h264, jpeg
from interceptor.forges.registry import FAMILIES
from interceptor.media.clips import FaceClip, Mouth, NativeCrop, Sound
from interceptor.media.crops import CONTEXT_SIZE, CROP_SIZE, TEMPLATE
from interceptor.training import augment

MOMENTS, NATIVE, RATE = 4, 400, 16_000


def picture(rng: np.random.Generator, side: int) -> np.ndarray:
    """uint8[side, side, 3]"""
    y, x = np.mgrid[:side, :side] / side
    waves = [np.sin(rng.uniform(2, 20) * x + rng.uniform(2, 20) * y + rng.uniform(0, 6)) for _ in range(3)]
    return np.clip(128 + 60 * np.stack(waves, -1) + rng.normal(0, 4, (side, side, 3)), 0, 255).astype(np.uint8)


def clips() -> dict[str, FaceClip]:
    rng = np.random.default_rng(0)

    def landmarks(count: int) -> np.ndarray:
        return np.stack([TEMPLATE * CROP_SIZE] * count)

    def stack(*shape: int, side: int) -> np.ndarray:
        return np.stack([picture(rng, side) for _ in range(int(np.prod(shape)))]).reshape(*shape, side, side, 3)

    one = FaceClip(stack(1, side=CROP_SIZE), landmarks(1), np.zeros(1))
    native = tuple(NativeCrop(picture(rng, NATIVE), TEMPLATE * NATIVE) for _ in range(MOMENTS))
    whole = FaceClip(
        stack(MOMENTS, side=CROP_SIZE),
        landmarks(MOMENTS),
        np.arange(MOMENTS) / 2,
        stack(MOMENTS, side=CONTEXT_SIZE),
        native,
        stack(MOMENTS, 2, side=CROP_SIZE),
    )
    mouth = Mouth(np.zeros((125, 64, 96), np.uint8), np.arange(125) / 25)
    sound = Sound(rng.normal(0, 0.1, 5 * RATE).astype(np.float32), RATE, 0.0)
    return {"crop": one, "clip": whole, "sound": replace(one, mouth=mouth, sound=sound)}


LEAKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "JPEG 60": lambda crop: jpeg(crop, 60),
    "JPEG 85": lambda crop: jpeg(crop, 85),
    "H.264 CRF 23": lambda crop: h264(crop, 23),
    "H.264 CRF 32": lambda crop: h264(crop, 32),
    "blur of 0.5 pixels": lambda crop: cv2.GaussianBlur(crop, (0, 0), 0.5),
    "3 levels brighter": lambda crop: cv2.add(crop, (3, 3, 3, 0)),
}
"""What such a forge does to the whole of every forgery."""


def leaks(data: Path, limit: int) -> None:
    print(f"{'leak':20}{'before':>8}{'after':>8}{'by pair':>9}")
    for name, leak in LEAKS.items():

        def forge(clip: FaceClip, rng: np.random.Generator, leak: Callable[[np.ndarray], np.ndarray] = leak) -> Forged:
            forged = FAMILIES["cm"].forge(clip, rng)
            whole = np.stack([leak(crop) for crop in forged.fake.crops])
            return replace(forged, fake=replace(forged.fake, crops=whole))

        found = audit_pictures(forge, read_index(data), augment.draw, limit=limit)
        before, after = found["before"], found["after"]
        print(f"{name:20}{before['auc']:8.3f}{after['auc']:8.3f}{after['pair_auc']:9.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--leaks", type=Path)
    parser.add_argument("--limit", type=int, default=150)
    arguments = parser.parse_args()
    if arguments.leaks:
        return leaks(arguments.leaks, arguments.limit)
    rounds = arguments.rounds
    cv2.setNumThreads(1)
    print(f"{'forge':6}{'of':8}{'ms':>8}{'least':>8}")
    for kind, clip in clips().items():
        for code, family in FAMILIES.items():
            if (code == "av") != (kind == "sound"):
                continue
            spent, walls = [], []
            for seed in range(rounds + 1):
                start, wall = time.process_time(), time.perf_counter()
                family.forge(clip, np.random.default_rng(seed))
                spent.append(time.process_time() - start)
                walls.append(time.perf_counter() - wall)
            print(f"{code:6}{kind:8}{1e3 * statistics.median(spent[1:]):8.1f}{1e3 * min(walls[1:]):8.1f}")


if __name__ == "__main__":
    main()
