"""What a localizer found, as pictures and as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from interceptor.detect.localize import Localization
from interceptor.report.files import write_bytes_atomically

CONTOUR = (230, 30, 30)
TINT = 0.25


def overlay(rgb: np.ndarray, found: Localization) -> np.ndarray:
    """The picture with instances tinted and outlined in red, uint8[H, W, 3]."""
    inside, drawn = found.mask.astype(np.uint8), rgb.copy()
    levels = np.arange(256)[:, None] * (1 - TINT) + np.array(CONTOUR) * TINT
    cv2.copyTo(cv2.LUT(rgb, np.rint(levels).astype(np.uint8)[:, None]), inside, drawn)
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(drawn, contours, -1, CONTOUR, max(1, max(rgb.shape[:2]) // 400))
    return drawn


def write_localization(rgb: np.ndarray, found: Localization, stem: Path) -> dict[str, Path]:
    """Write `STEM.probability.png` (16 bits, full scale = 1), `STEM.mask.png` (255 = altered) and `STEM.overlay.png`.

    Returns the files by what they hold. Raises `ReportError` where one cannot be written.
    """
    pictures: dict[str, Callable[[], np.ndarray]] = {
        "probability": lambda: np.rint(found.probability_map * 65535).astype(np.uint16),
        "mask": lambda: found.mask.astype(np.uint8) * 255,
        "overlay": lambda: overlay(rgb, found)[..., ::-1],
    }
    files = {}
    for name, picture in pictures.items():  # one after the other: they can be large
        files[name] = stem.with_name(f"{stem.name}.{name}.png")
        write_bytes_atomically(files[name], cv2.imencode(".png", picture())[1].tobytes())
    return files


def localization_json(path: str | os.PathLike[str], found: Localization, files: dict[str, Path]) -> str:
    """One line of JSON: the verdict, the picture's probability, its instances and the files written."""
    height, width = found.mask.shape
    return json.dumps(
        {
            "path": os.fspath(path),
            "verdict": found.verdict,
            "probability": round(found.probability, 6),
            "instances": [dataclasses.asdict(instance) for instance in found.instances],
            "width": width,
            "height": height,
            "altered_share": float(found.mask.mean()),
            "threshold": found.threshold,
            "tiles": found.tiles,
            "files": {name: str(file) for name, file in files.items()},
            "error": None,
        },
        allow_nan=False,
    )


def localization_error_json(path: str | os.PathLike[str], cause: str, message: str) -> str:
    """One line of JSON for a picture that could not be read."""
    error = {"cause": cause, "message": message}
    return json.dumps(
        {"path": os.fspath(path), "verdict": "error", "probability": None, "instances": [], "error": error}
    )
