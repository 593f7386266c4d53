"""How long the lenses take, and how long a window of face clips takes to cut.

    python benchmarks/lenses.py FILE [FILE ...]      # clips with a face and sound

One thread, lenses interleaved. Medians in milliseconds a crop, of wall time and of processor time: on a machine that
does other work too, the second says what a lens costs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from interceptor.detect.detector import load_detector
from interceptor.lenses import LENSES, Abstain
from interceptor.media import probe
from interceptor.media.clips import FaceClip
from interceptor.media.windows import SECONDS, WindowReader, cut_window


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall and processor milliseconds, and the result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3, result


def lens_times(clips: list[FaceClip], repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Wall and processor milliseconds a crop, by code; lenses that abstain are left out."""
    times: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for _ in range(repeats):
        for clip in clips:
            for code, lens in LENSES.items():
                try:
                    wall, cpu, seen = timed(lambda: lens.look(clip))  # noqa: B023 (called at once)
                except Abstain:
                    continue
                times[code].append((wall / len(seen), cpu / len(seen)))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    detector = load_detector()
    clips: list[FaceClip] = []
    print(f"| window of {SECONDS} s | frames | faces | read: wall ms | cpu ms | cut: wall ms | cpu ms |")
    print("|---|---|---|---|---|---|---|")
    for path in options.files:
        info = probe(path)
        middle = max(0.0, ((info.duration or 0) - SECONDS) / 2)
        read = [timed(lambda: sum(1 for _ in WindowReader(path, info, middle, SECONDS))) for _ in range(3)]  # noqa: B023
        cut = [timed(lambda: cut_window(path, info, detector)) for _ in range(3)]  # noqa: B023
        found = cut[-1][2].clips
        clips += found
        figures = [f"{statistics.median(run[i] for run in runs):.0f}" for runs in (read, cut) for i in (0, 1)]
        print(f"| {path.name} | {read[0][2]} | {len(found)} | {' | '.join(figures)} |", flush=True)
    print("\n| lens | wall ms a crop | cpu ms a crop | runs |\n|---|---|---|---|")
    for code, runs in lens_times(clips, options.repeats).items():
        wall, cpu = (statistics.median(run[i] for run in runs) for i in (0, 1))
        print(f"| {code} | {wall:.2f} | {cpu:.2f} | {len(runs)} |")


if __name__ == "__main__":
    main()
