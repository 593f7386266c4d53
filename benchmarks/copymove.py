"""Measures the copy-move matcher: `python benchmarks/copymove.py MEASURE DATA`.

DATA is the folder that holds `forgery`. MEASURE is `forged` (copy-moves made on authentic pictures), `authentic` (false
alarms), `contest` (the three contest pictures) or `speed`. `--half dev` is the half of the pictures on which thresholds
were chosen; `test`, the default, is the half for figures. `docs/matcher.md` quotes what this prints.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import statistics
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from interceptor.detect.copymove import Match, instances, match, match_across
from interceptor.media.stills import read_still
from interceptor.metrics.instances import f1_matrix, of1

KINDS = ("blood", "blots", "clothing", "figures", "membrane", "nuclei/images")
TEXTURED = 2.0
"""Grey levels: a region is textured where the standard deviation of what a blur (sigma 2) takes away is above this."""


@dataclass(frozen=True)
class Forgery:
    """A picture with a copied region and how it was made: `source` and `copy` bool[H, W], `transform` float64[2, 3]."""

    rgb: np.ndarray
    source: np.ndarray
    copy: np.ndarray
    transform: np.ndarray
    angle: float
    scale: float
    flip: bool
    quality: int
    area: float
    textured: bool
    over: float
    """Share of the source that is textured by itself, in windows of 9 pixels."""

    @property
    def truth(self) -> np.ndarray:
        return self.source | self.copy


def pictures(data: Path, half: str) -> Iterator[tuple[str, Path]]:
    """(kind, path) of one half of the authentic pictures; a picture's half follows from its name alone."""
    for kind in KINDS:
        for path in sorted((data / "forgery/authentic" / kind).iterdir()):
            if (hashlib.sha256(path.name.encode()).digest()[0] < 128) == (half == "dev"):
                yield kind, path


def forge(rgb: np.ndarray, rng: np.random.Generator) -> Forgery | None:
    """One copy-move of random shape, place, angle, scale, flip, area and JPEG quality; None where none fits in."""
    height, width = rgb.shape[:2]
    area, scale = np.exp(rng.uniform(np.log(0.01), np.log(0.1))), rng.choice([1.0, rng.uniform(0.6, 1.6)])
    angle, flip = rng.choice([0.0, rng.uniform(0, 180)]), bool(rng.random() < 0.3)
    quality = int(rng.integers(70, 101))
    shape = blob(np.sqrt(area * height * width / np.pi), rng)
    linear = scale * cv2.getRotationMatrix2D((0, 0), -angle, 1)[:, :2] @ np.diag([-1 if flip else 1, 1])
    for _ in range(200):
        places = [rng.uniform([0, 0], [width, height]) for _ in range(2)]
        source, copy = paint(shape + places[0], rgb.shape), paint(shape @ linear.T + places[1], rgb.shape)
        if source is not None and copy is not None and not (source & copy).any():
            break
    else:
        return None
    transform = np.column_stack([linear, places[1] - linear @ places[0]])
    moved = cv2.warpAffine(rgb, transform, (width, height), flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    alpha = cv2.GaussianBlur(copy.astype(np.float32), (0, 0), 0.7)[..., None]
    forged = np.round(moved * alpha + rgb * (1 - alpha)).astype(np.uint8)
    encoded = cv2.imencode(".jpg", forged[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = grey - cv2.GaussianBlur(grey, (0, 0), 2)
    textured = float(detail[source].std()) > TEXTURED
    over = float(np.mean(cv2.sqrt(cv2.blur(detail * detail, (9, 9)))[source] > TEXTURED))
    forged = cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1]
    forged = np.ascontiguousarray(forged)
    return Forgery(forged, source, copy, transform, angle, scale, flip, quality, area, textured, over)


def blob(radius: float, rng: np.random.Generator) -> np.ndarray:
    """A random closed outline about the origin, float64[64, 2], of the area of a circle of that radius."""
    turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    waves = sum(rng.normal(0, 0.12) * np.cos(k * turn + rng.uniform(0, 6.3)) for k in (2, 3, 4))
    outline = (1 + np.clip(waves, -0.5, 0.5))[:, None] * np.column_stack([np.cos(turn), np.sin(turn)])
    return outline * radius * np.sqrt(np.pi / cv2.contourArea(outline.astype(np.float32)))


def paint(outline: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """bool[H, W] of an outline's inside; None where it reaches beyond the picture."""
    if outline.min() < 1 or (outline.max(0) > np.array(shape[1::-1]) - 2).any():
        return None
    return cv2.fillPoly(np.zeros(shape[:2], np.uint8), [np.round(outline).astype(np.int32)], 1) > 0


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)


@dataclass(frozen=True)
class Row:
    """What was found in one forged picture: whether the copy, anything that touches it, anything at all."""

    kind: str
    made: Forgery
    found: bool
    touched: bool
    anything: bool
    seconds: float


def random(seed: int, path: Path) -> np.random.Generator:
    """A picture's forgery is the same whatever other pictures are taken."""
    return np.random.default_rng((seed, zlib.crc32(path.name.encode())))


def forge_and_match(task: tuple[str, Path, int]) -> Row | None:
    kind, path, seed = task
    made = forge(read_still(path), random(seed, path))
    if made is None:
        return None
    start = time.perf_counter()
    matches = match(made.rgb)
    seconds = time.perf_counter() - start
    best = max((overlap(one.painted(made.truth.shape), made.truth) for one in matches), default=0.0)
    if made.textured and best <= 0.5:
        how = f"angle {made.angle:.0f} scale {made.scale:.2f} flip {made.flip} quality {made.quality}"
        how += f" area {made.area:.3f} over {made.over:.2f}"
        print(f"  missed: {path.name} {how}, {len(matches)} matches, IoU {best:.2f}", flush=True)
    return Row(kind, made, best > 0.5, best > 0, bool(matches), seconds)


def forged(data: Path, half: str, limit: int, seed: int, jobs: int) -> None:
    """Detection rate over rotation, scale, flip, quality, area and kind."""
    tasks = [(kind, path, seed) for kind, path in chosen(data, half, limit)]
    with ProcessPoolExecutor(jobs) as pool:
        rows = [row for row in pool.map(forge_and_match, tasks) if row is not None]
    print(f"{len(rows)} forgeries, {statistics.median(row.seconds for row in rows):.2f} s each (median)")
    print(f"something inside the truth is found in {np.mean([row.touched for row in rows]):.1%}")
    tables: list[tuple[str, Callable[[str, Forgery], str]]] = [
        ("all", lambda kind, made: ""),
        ("over", lambda kind, made: "half and more" if made.over >= 0.5 else "less than half"),
        ("kind", lambda kind, made: kind),
        ("angle", lambda kind, made: "0" if made.angle == 0 else bin_of(made.angle, (45, 90, 135, 180))),
        ("scale", lambda kind, made: "1" if made.scale == 1 else bin_of(made.scale, (0.8, 1.0, 1.25, 1.6))),
        ("flip", lambda kind, made: str(made.flip)),
        ("quality", lambda kind, made: bin_of(made.quality, (80, 90, 100))),
        ("area", lambda kind, made: bin_of(made.area, (0.02, 0.05, 0.1))),
    ]
    for textured in (True, False):
        part = [row for row in rows if row.made.textured == textured]
        print(f"\n{'textured' if textured else 'smooth'}: found (any match at all) of pictures")
        for name, key in tables:
            for value in sorted({key(row.kind, row.made) for row in part}):
                group = [row for row in part if key(row.kind, row.made) == value]
                hits, any_ = np.mean([(row.found, row.anything) for row in group], axis=0)
                print(f"  {name:8}{value:15}{hits:7.1%} ({any_:.1%}) of {len(group)}")


def bin_of(value: float, edges: tuple[float, ...]) -> str:
    return f"to {next(edge for edge in edges if value <= edge + 1e-9)}"


def authentic(data: Path, half: str, limit: int, seed: int, jobs: int) -> None:
    """Pictures without a forgery in which something is found; contest pictures and their twins are not among them."""
    counts: dict[str, list[int]] = {}
    tasks = chosen(data, half, limit)
    with ProcessPoolExecutor(jobs) as pool:
        every = list(pool.map(match_file, [path for _, path in tasks]))
    for (kind, path), matches in zip(tasks, every, strict=True):
        counts.setdefault(kind, []).append(len(matches))
        for one in matches:
            print(
                f"  {path.name}: {one.source.box} {one.copy.box} inliers {one.inliers} corr {one.correlation:.2f}",
                flush=True,
            )
    for kind, found in counts.items():
        print(f"{kind:15}{sum(map(bool, found))} of {len(found)}")
    found = [bool(number) for numbers in counts.values() for number in numbers]
    print(f"false alarms: {sum(found)} of {len(found)} = {np.mean(found):.1%}")


def match_file(path: Path) -> list[Match]:
    return match(read_still(path))


def chosen(data: Path, half: str, limit: int) -> list[tuple[str, Path]]:
    """At most `limit` pictures of a half, evenly over all kinds."""
    every = list(pictures(data, half))
    return [every[i] for i in np.linspace(0, len(every) - 1, min(limit, len(every))).astype(int)]


def contest(data: Path, half: str, limit: int, seed: int, jobs: int) -> None:
    """The contest's oF1 of its three pictures and of their authentic twins, with the F1 of every group and instance."""
    folder = data / "forgery/recodai"
    scores = []
    for path in sorted((folder / "train_images/forged").iterdir()):
        truth = np.load(folder / "train_masks" / f"{path.stem}.npy").astype(bool)
        found = instances(match(read_still(path)), truth.shape[1:])
        twin = read_still(folder / "train_images/authentic" / path.name)
        for kind, planes, expected in (
            ("forged", found, truth),
            ("authentic", instances(match(twin), twin.shape), np.zeros((0, *twin.shape[:2]), bool)),
        ):
            scores.append(of1(expected, planes))
            print(f"{path.name}, {kind}: {len(planes)} instances, oF1 {scores[-1]:.2f}")
        if len(found):
            print("  F1 of each group with each instance:", f1_matrix(truth, found).round(2).tolist())
    print(f"oF1: {np.mean(scores[::2]):.3f} of the forged, {np.mean(scores[1::2]):.3f} of the authentic")


def speed(data: Path, half: str, limit: int, seed: int, jobs: int) -> None:
    """Seconds and peak memory by size, and across files."""
    files = [path for kind, path in pictures(data, half) if kind == "membrane"]
    for side in (256, 512, 1024, 2048, 4000):
        rgb = cv2.resize(read_still(files[0]), (side, side), interpolation=cv2.INTER_CUBIC)
        took = [timed(lambda rgb=rgb: match(rgb)) for _ in range(3)]
        print(f"{side} x {side}: {statistics.median(took):.2f} s, peak memory {peak():.0f} MB")
    figures = [read_still(path) for _, path in chosen(data, half, 50)]
    print(f"{len(figures)} figures across: {timed(lambda: match_across(figures)):.1f} s, peak memory {peak():.0f} MB")


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def peak() -> float:
    """Peak memory of this process, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    measures = {"forged": forged, "authentic": authentic, "contest": contest, "speed": speed}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measure", choices=measures)
    parser.add_argument("data", type=Path)
    parser.add_argument("--half", choices=("dev", "test"), default="test")
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes, for `forged` and `authentic`")
    given = parser.parse_args()
    measures[given.measure](given.data, given.half, given.limit, given.seed, given.jobs)
