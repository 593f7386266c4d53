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
from interceptor.report.files import write_atomically, write_bytes_atomically
from interceptor.report.text import count, printable

CONTOUR = (230, 30, 30)
TINT = 0.25
BAND = 256
"""Rows that are tinted at a time."""


def overlay(rgb: np.ndarray, found: Localization) -> np.ndarray:
    """The picture with instances tinted and outlined in red, on white that shows on red, uint8[H, W, 3]."""
    drawn = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)  # as OpenCV writes it: large pictures are copied once
    levels = np.rint(np.arange(256)[:, None] * (1 - TINT) + np.array(CONTOUR[::-1]) * TINT).astype(np.uint8)
    for top in range(0, len(drawn), BAND):
        band = drawn[top : top + BAND]
        cv2.copyTo(cv2.LUT(band, levels[:, None]), found.mask[top : top + BAND].view(np.uint8), band)
    contours, _ = cv2.findContours(found.mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    width = max(1, max(rgb.shape[:2]) // 400)
    cv2.drawContours(drawn, contours, -1, (255, 255, 255), 3 * width)
    cv2.drawContours(drawn, contours, -1, CONTOUR[::-1], width)
    return drawn[..., ::-1]


def write_localization(
    path: str | os.PathLike[str], rgb: np.ndarray, found: Localization, stem: Path
) -> dict[str, Path]:
    """Write `STEM.probability.png` (16 bits, full scale = 1), `STEM.mask.png` (255 = altered), `STEM.overlay.png` and
    `STEM.json`, what `localization_json` says of the picture at `path`.

    Returns the files by what they hold. Raises `ReportError` where one cannot be written.
    """
    pictures: dict[str, Callable[[], np.ndarray]] = {
        "probability": lambda: cv2.multiply(found.probability_map, 65535, dtype=cv2.CV_16U),
        "mask": lambda: found.mask.view(np.uint8) * 255,
        "overlay": lambda: overlay(rgb, found)[..., ::-1],
    }
    files = {}
    for name, picture in pictures.items():  # one after the other: they can be large
        files[name] = stem.with_name(f"{stem.name}.{name}.png")
        write_bytes_atomically(files[name], cv2.imencode(".png", picture())[1].tobytes())
    files["json"] = stem.with_name(f"{stem.name}.json")
    write_atomically(files["json"], localization_json(path, found, files, indent=2) + "\n")
    return files


def localization_text(path: str | os.PathLike[str], found: Localization) -> str:
    """One line for the terminal."""
    regions = count(len(found.instances), "region")
    if found.instances:
        regions += f", {found.mask.mean():.2%} of the picture"
    return printable(f"{os.fspath(path)}: {found.verdict}, probability {found.probability:.2f}; {regions}")


def localization_json(
    path: str | os.PathLike[str], found: Localization, files: dict[str, Path], indent: int | None = None
) -> str:
    """JSON, one line unless indented: the verdict, the picture's probability, its instances and the files written."""
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
            "seen": found.seen,
            "files": {name: str(file) for name, file in files.items()},
            "error": None,
        },
        indent=indent,
        allow_nan=False,
    )


def error_json(path: str | os.PathLike[str], cause: str, message: str) -> str:
    """One line of JSON for a picture that could not be looked at."""
    error = {"cause": cause, "message": message}
    return json.dumps(
        {"path": os.fspath(path), "verdict": "error", "probability": None, "instances": [], "error": error}
    )
