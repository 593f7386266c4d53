"""What the localizer finds and misses, as one picture to look at: sample pictures of scikit-image, forged or not.

    python benchmarks/localizer_fails.py sheet.jpg [--weights DIR]

Six pictures in the public domain or CC0, of kinds that no localizer was trained on. In each row one picture as it is,
with a part of another one (splice), with something removed, and retouched; each as truth (green), map, and overlay.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from localizer import tile
from skimage import data

from interceptor.detect.localize import Localizer
from interceptor.forges.pictures import draw_recompression, forge
from interceptor.metrics.masks import overlap
from interceptor.runtime.weights import FOLDER

PICTURES = ("immunohistochemistry", "coins", "coffee", "chelsea", "brick", "rocket")
WIDTH = 112


def loaded(name: str) -> np.ndarray:
    """One of scikit-image's pictures, uint8[H, W, 3]."""
    picture = getattr(data, name)()
    return np.ascontiguousarray(picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sheet", type=Path)
    parser.add_argument("--weights", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    localizer = Localizer(arguments.weights)
    pictures = [loaded(name) for name in PICTURES]
    rows = []
    for number, (name, authentic) in enumerate(zip(PICTURES, pictures, strict=True)):
        row = []
        for kind in ("", "splice", "removal", "retouch"):
            rng = np.random.default_rng(number)
            rgb, truth = authentic, np.zeros(authentic.shape[:2], bool)
            if kind:
                made = forge(authentic, rng, donor=pictures[number - 1], kind=kind)
                rgb, truth = made.image, made.mask
            rgb = draw_recompression(np.random.default_rng(number))(rgb)
            found = localizer.localize(rgb)
            f1 = f"F1 {overlap(truth, found.probability_map >= 0.5).f1:.2f} of {truth.mean():.1%}, " if kind else ""
            print(f"{name}, {kind or 'as it is'}: {f1}{found.verdict}, probability {found.probability:.2f}", flush=True)
            row.append(cv2.resize(tile(rgb, truth, found), (3 * WIDTH, WIDTH), interpolation=cv2.INTER_AREA))
        rows.append(np.hstack(row))
    cv2.imwrite(str(arguments.sheet), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])


if __name__ == "__main__":
    main()
