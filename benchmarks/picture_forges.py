"""What the picture forges make of a folder of authentic pictures: areas, times, refusals, and a sheet to look at.

    python benchmarks/picture_forges.py DIR [--number 30] [--sheet sheet.png]

DIR holds pictures, or `images` beside `instances` of the same names with labelled objects.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from interceptor.datasets.pictures import picture_files
from interceptor.forges.pictures import KINDS, ForgedPicture, ForgeError, forge
from interceptor.media.stills import read_still

TILE = 320


def read(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """A picture and its labels, if it has any."""
    labels = path.parents[1] / "instances" / path.name
    return read_still(path), cv2.imread(str(labels), cv2.IMREAD_UNCHANGED) if labels.is_file() else None


def tile(rgb: np.ndarray) -> np.ndarray:
    scale = TILE / max(rgb.shape[:2])
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:TILE, :TILE]
    framed = np.full((TILE, TILE, 3), 255, np.uint8)
    framed[: small.shape[0], : small.shape[1]] = small
    return framed


def row(rgb: np.ndarray, forged: ForgedPicture) -> np.ndarray:
    """Before, after, and after with each instance outlined in a colour of its own."""
    outlined = forged.image.copy()
    for plane, colour in zip(forged.instances, [(255, 0, 0), (0, 200, 0)], strict=False):
        contours, _ = cv2.findContours(plane.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(outlined, contours, -1, colour, max(1, max(rgb.shape) // TILE))
    return np.hstack([tile(rgb), tile(forged.image), tile(outlined)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--number", type=int, default=30, help="forgeries of each kind")
    parser.add_argument("--sheet", type=Path, help="PNG of the first three of each kind")
    arguments = parser.parse_args()
    folder = arguments.folder
    files = picture_files(folder / "images" if (folder / "images").is_dir() else folder)
    rng, rows = np.random.default_rng(0), []
    for kind in KINDS:
        areas, seconds, refused = [], [], 0
        for i in range(arguments.number):
            (rgb, objects), (donor, donor_objects) = (read(files[rng.integers(len(files))]) for _ in range(2))
            start = time.process_time()
            try:
                forged = forge(rgb, rng, donor=donor, objects=objects, donor_objects=donor_objects, kind=kind)
            except ForgeError:
                refused += 1
                continue
            seconds.append(time.process_time() - start)
            areas.append(forged.mask.mean())
            if not (forged.image[~forged.mask] == rgb[~forged.mask]).all():
                raise SystemExit(f"{kind}: changed outside of its mask")
            if i < 3:
                rows.append(row(rgb, forged))
        print(
            f"{kind:10} n {len(areas):3}  refused {refused}  under 2 % {np.mean(np.array(areas) < 0.02):.2f}  "
            f"area median {np.median(areas):.4f} max {max(areas):.3f}  "
            f"CPU ms median {1000 * np.median(seconds):.0f} max {1000 * max(seconds):.0f}"
        )
    if arguments.sheet:
        cv2.imwrite(str(arguments.sheet), np.vstack(rows)[..., ::-1])


if __name__ == "__main__":
    main()
