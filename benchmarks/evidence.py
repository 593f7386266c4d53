"""Classical evidence: what each map is worth on forgeries of its own kind, how quiet on authentic ones, its cost.

    python benchmarks/evidence.py forged            # scikit-image's sample pictures, forged
    python benchmarks/evidence.py authentic DATA    # DATA holds forgery/authentic
    python benchmarks/evidence.py seconds           # a picture of 12 megapixels
    python benchmarks/evidence.py coefficients      # DCT coefficients against jpeglib's; needs: pip install jpeglib

Thresholds were chosen on every second authentic picture (`--part development`) and the other half is reported; the
exceptions are told in docs/evidence.md.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import skimage.data

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from interceptor.detect.evidence import MAPS, EvidenceMap, read_picture
from interceptor.metrics.classification import roc_auc
from picture_forger import FORGERIES, Saved

SAMPLES = ("astronaut", "chelsea", "coffee", "rocket", "retina", "stereo_motorcycle", "immunohistochemistry")
LOUD = 0.01
"""The share of the area above one half from which a picture counts as flagged."""
LOOKED_AT = [name for name in MAPS if name not in ("error_level", "metadata")]


def samples() -> list[np.ndarray]:
    """scikit-image's colour pictures, uint8[H, W, 3], as they come."""
    pictures = []
    for name in SAMPLES:
        picture = getattr(skimage.data, name)()
        picture = np.ascontiguousarray((picture[0] if isinstance(picture, tuple) else picture)[..., :3])
        pictures.append(picture)
    return pictures


def look(name: str, data: bytes, folder: Path) -> EvidenceMap:
    path = folder / "picture"
    path.write_bytes(data)
    return MAPS[name](read_picture(path))


def forged(folder: Path, last_save: int | None) -> None:
    """A region of 6 % of each sample, from the next sample, for each map; pixel AUC, and areas above one half."""
    pictures = samples()
    print(
        "| map | pixel AUC, median (lowest) | of the forged area above .5 | of the rest | authentic twin | abstained |"
    )
    print("|---|---|---|---|---|---|")
    for name, (forge, saved) in FORGERIES.items():
        if last_save is not None:
            saved = Saved("JPEG", {"quality": last_save, "subsampling": 0})
        aucs, inside, outside, quiet, abstained = [], [], [], [], 0
        for number, source in enumerate(pictures):
            height, width = source.shape[:2]
            other = cv2.resize(pictures[(number + 1) % len(pictures)], (width, height), interpolation=cv2.INTER_AREA)
            side = int(np.sqrt(0.06 * height * width))
            region = (slice(height // 3, height // 3 + side), slice(width // 3, width // 3 + side))
            mask = np.zeros((height, width), bool)
            mask[region] = True
            authentic, fake = forge(source, other, region)
            twin, found = look(name, saved.bytes(authentic), folder), look(name, saved.bytes(fake), folder)
            if found.values is None or twin.values is None:
                abstained += 1
                continue
            aucs.append(roc_auc(mask.ravel(), found.values.ravel()))
            inside.append(float(np.mean(found.values[mask] > 0.5)))
            outside.append(float(np.mean(found.values[~mask] > 0.5)))
            quiet.append(float(np.mean(twin.values > 0.5)))
        print(
            f"| {name} | {statistics.median(aucs):.3f} ({min(aucs):.3f}) | {np.mean(inside):.1%} "
            f"| {np.mean(outside):.2%} | {np.mean(quiet):.2%} | {abstained} of {len(pictures)} |"
        )


def authentic(root: Path, part: str, limit: int) -> None:
    """How often a map has more than 1 % of its area above one half, by kind of picture."""
    kinds: dict[str, list[Path]] = defaultdict(list)
    for path in sorted((root / "forgery" / "authentic").rglob("*")):
        if path.suffix.lower() in (".jpg", ".png", ".tif") and "label" not in path.stem and "mask" not in path.stem:
            kinds[path.relative_to(root / "forgery" / "authentic").parts[0]].append(path)
    print("| pictures | " + " | ".join(LOOKED_AT) + " |")
    print("|---" * (len(LOOKED_AT) + 1) + "|")
    for kind, paths in kinds.items():
        chosen = paths[part == "test" :: 2][:limit]
        cells = []
        pictures = [read_picture(path) for path in chosen]
        for name in LOOKED_AT:
            found = [MAPS[name](picture).values for picture in pictures]
            spoken = [values for values in found if values is not None]
            loud = sum(float(np.mean(values > 0.5)) > LOUD for values in spoken)
            area = np.mean([np.mean(values > 0.5) for values in spoken]) if spoken else 0
            cells.append(f"{loud} of {len(spoken)} ({area:.1%})" if spoken else "abstains")
        print(f"| {kind} ({len(chosen)}) | " + " | ".join(cells) + " |", flush=True)


def seconds(folder: Path, rounds: int) -> None:
    """Each map on a 12-megapixel JPEG of quality 95, in this one process; the median of some rounds."""
    picture = cv2.resize(skimage.data.astronaut(), (4000, 3000), interpolation=cv2.INTER_CUBIC)
    noisy = picture + np.random.default_rng(0).normal(0, 2, picture.shape)
    path = folder / "picture.jpg"
    path.write_bytes(Saved("JPEG", {"quality": 95}).bytes(np.clip(np.round(noisy), 0, 255).astype(np.uint8)))
    del noisy
    print("| map | seconds |\n|---|---|")
    opened = read_picture(path)
    taken = [_timed(lambda: read_picture(path)) for _ in range(rounds)]
    print(f"| reading | {statistics.median(taken):.1f} |")
    for name, evidence in MAPS.items():
        taken = [_timed(lambda evidence=evidence: evidence(opened)) for _ in range(rounds)]
        print(f"| {name} | {statistics.median(taken):.1f} |", flush=True)
    print(f"| peak memory | {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2:.1f} GB |")


def _timed(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def coefficients(folder: Path) -> None:
    """The share of luma coefficients that equal those in the file."""
    import jpeglib

    print("| quality | equal, astronaut | equal, motorcycle | largest difference |\n|---|---|---|---|")
    for quality in (50, 75, 90, 95, 100):
        equal, worst = [], 0
        for source in (skimage.data.astronaut(), skimage.data.stereo_motorcycle()[0]):
            path = folder / "picture.jpg"
            path.write_bytes(Saved("JPEG", {"quality": quality}).bytes(source))
            ours = read_picture(path).coefficients
            theirs = jpeglib.read_dct(str(path)).Y[: ours.shape[0], : ours.shape[1]]
            equal.append(float(np.mean(ours == theirs)))
            worst = max(worst, int(np.abs(ours - theirs).max()))
        print(f"| {quality} | {equal[0]:.2%} | {equal[1]:.2%} | {worst} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measure", choices=["forged", "authentic", "seconds", "coefficients"])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--part", choices=["development", "test"], default="test")
    parser.add_argument("--limit", type=int, default=20, help="pictures of each kind")
    parser.add_argument("--last-save", type=int, help="forged: the quality of a JPEG, instead of each map's own file")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if arguments.measure == "forged":
            forged(Path(name), arguments.last_save)
        elif arguments.measure == "seconds":
            seconds(Path(name), arguments.rounds)
        elif arguments.measure == "coefficients":
            coefficients(Path(name))
        elif arguments.data is None:
            parser.error("authentic needs DATA")
        else:
            authentic(arguments.data, arguments.part, arguments.limit)


if __name__ == "__main__":
    main()
