"""What the six standard specialists cost on top of the base they share.

    python benchmarks/heads.py [--rounds 15]

Sixteen crops: the base alone, and the base with its heads, interleaved; then each lens and each head. Medians of wall
and of processor seconds (all threads).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from interceptor.detect.screen import ScreenNetwork
from interceptor.detect.specialists import Specialists
from interceptor.lenses import LENSES
from interceptor.lenses.half import HALF_SIZE, half
from interceptor.media.clips import FaceClip, Mouth, NativeCrop, Sound
from interceptor.media.crops import CONTEXT_SIZE, CROP_SIZE, TEMPLATE

CROPS = 16


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def median(runs: list[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(run[0] for run in runs), statistics.median(run[1] for run in runs)


def made_clip(rng: np.random.Generator) -> FaceClip:
    """A clip of sixteen crops with all that lenses look at, of noise."""

    def pixels(*shape: int) -> np.ndarray:
        return rng.integers(0, 256, shape, np.uint8)

    landmarks = (TEMPLATE * CROP_SIZE).astype(np.float32)
    return FaceClip(
        crops=pixels(CROPS, CROP_SIZE, CROP_SIZE, 3),
        landmarks=np.stack([landmarks] * CROPS),
        times=np.linspace(0.5, 2.1, CROPS),
        context=pixels(CROPS, CONTEXT_SIZE, CONTEXT_SIZE, 3),
        native=tuple(NativeCrop(pixels(360, 360, 3), landmarks) for _ in range(CROPS)),
        neighbours=pixels(CROPS, 2, CROP_SIZE, CROP_SIZE, 3),
        mouth=Mouth(pixels(65, 64, 96), np.arange(65) / 25),
        sound=Sound(rng.normal(0, 0.1, 41_600).astype(np.float32), 16_000, 0.0),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    base, heads = ScreenNetwork(), Specialists().members
    rng = np.random.default_rng(0)
    clip = made_clip(rng)
    tokens = base.look(clip.crops).tokens
    seen = rng.normal(0, 0.3, (CROPS, 3, HALF_SIZE, HALF_SIZE)).astype(np.float32)

    def together() -> None:
        found = base.look(clip.crops).tokens
        for code, head in heads.items():
            rows = 1 if LENSES[code].span else CROPS  # sound is looked at once
            head.logits(found[:rows], seen[:rows])

    alone, all_of_it = [], []
    for _ in range(options.rounds + 1):
        alone.append(timed(lambda: base.look(clip.crops)))
        all_of_it.append(timed(together))
    (wall, cpu), (more_wall, more_cpu) = median(alone[1:]), median(all_of_it[1:])
    print(f"| {CROPS} crops | wall s | processor s |\n|---|---|---|")
    print(f"| base alone | {wall:.3f} | {cpu:.3f} |")
    print(f"| base and {len(heads)} heads ({', '.join(heads)}) | {more_wall:.3f} | {more_cpu:.3f} |")
    print(f"| times | {more_wall / wall:.2f} | {more_cpu / cpu:.2f} |\n")
    print("| specialist | lens: wall ms | processor ms | head: wall ms | processor ms |\n|---|---|---|---|---|")
    for code, head in heads.items():
        rows = 1 if LENSES[code].span else CROPS
        shown = replace(clip, times=clip.times[:rows]) if LENSES[code].span else clip
        look = median([timed(lambda: half(code, LENSES[code].look(shown))) for _ in range(options.rounds)])  # noqa: B023
        score = median([timed(lambda: head.logits(tokens[:rows], seen[:rows])) for _ in range(options.rounds)])  # noqa: B023
        print(f"| {code} | {' | '.join(f'{1e3 * value:.0f}' for value in (*look, *score))} |")


if __name__ == "__main__":
    main()
