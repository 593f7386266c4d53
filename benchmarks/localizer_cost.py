"""What the localizer costs: time of a picture of 512 x 512 by flips, time and memory of a large one.

    python benchmarks/localizer_cost.py [--repeat 9] [--megapixels 100] [--mode auto]

The pictures are made up. Processor time does not depend on what else the machine does; that a look takes half of it on
two idle cores is usual.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from interceptor.detect.localize import Localizer
from interceptor.evaluation.masks import peak_memory_mb
from interceptor.media.stills import read_still
from interceptor.report.localization import write_localization


def made_up(side: int) -> np.ndarray:
    """A smooth picture with a noisy patch, uint8[side, side, 3]."""
    rng = np.random.default_rng(0)
    rgb = cv2.resize(rng.integers(0, 256, (64, 64, 3), np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)
    patch = np.s_[side // 4 : side // 2, side // 4 : side // 2]
    rgb[patch] = rng.integers(0, 256, rgb[patch].shape, np.uint8)
    return rgb


def took(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock and of the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=9, help="of the small picture; 0 leaves it out")
    parser.add_argument("--megapixels", type=float, default=0, help="also a picture of so many")
    parser.add_argument("--mode", default="auto", help="how the large picture is looked at")
    arguments = parser.parse_args()
    small = made_up(512)
    for flips in (1, 4, 8) if arguments.repeat else ():
        localizer = Localizer(flips=flips)
        localizer.localize(small)
        wall, processor = np.median([took(lambda: localizer.localize(small)) for _ in range(arguments.repeat)], axis=0)  # noqa: B023
        print(f"512 x 512, {flips} flips: {wall:.2f} s, {processor:.2f} s of the processor", flush=True)
    if not arguments.megapixels:
        return
    side = round(1000 * arguments.megapixels**0.5)
    localizer = Localizer(mode=arguments.mode, preset="sensitive")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.jpg"
        cv2.imwrite(str(file), made_up(side))

        def tell(done: int, total: int) -> None:
            if done * 10 // total > (done - 1) * 10 // total:
                print(f"{done} of {total} tiles", file=sys.stderr, flush=True)

        def all_of_it() -> None:
            rgb = read_still(file)
            found = localizer.localize(rgb, tell)
            write_localization(file, rgb, found, Path(folder) / "large")
            print(f"{found.verdict}, {len(found.instances)} regions, {found.mask.mean():.1%}, {found.tiles} tiles")

        wall, processor = took(all_of_it)
    print(f"{side} x {side}: {wall:.0f} s, {processor:.0f} s of the processor, peak {peak_memory_mb():.0f} MB")


if __name__ == "__main__":
    main()
