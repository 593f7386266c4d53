"""Classical evidence as pictures and as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from interceptor.detect.evidence.maps import EvidenceMap
from interceptor.report.files import write_bytes_atomically

GAP = 8
"""Pixels of white between a map and its overlay."""


def coloured(values: np.ndarray) -> np.ndarray:
    """A map float32[H, W] in 0..1 as colours, uint8[H, W, 3] RGB: black, violet, orange (0.5), pale yellow (1)."""
    grey = np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO)[..., ::-1]


def beside_overlay(rgb: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The map, and beside it the picture in grey with the map on it: uint8[H, 2 W + 8, 3].

    `rgb` uint8[H, W, 3]; the map covers the grey picture the more, the stronger it is.
    """
    grey = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    weight = (0.65 * np.clip(values, 0, 1))[..., None]
    return beside(values, np.round(grey * (1 - weight) + coloured(values) * weight).astype(np.uint8))


def beside(values: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The map float32[H, W] in colours, and beside it a drawing uint8[H, W, 3]: uint8[H, 2 W + 8, 3]."""
    return np.hstack([coloured(values), np.full((len(drawn), GAP, 3), 255, np.uint8), drawn])


def write_map(rgb: np.ndarray, evidence: EvidenceMap, path: Path) -> None:
    """Write the map beside its overlay as a PNG. Raises `ReportError` if it cannot be written."""
    assert evidence.values is not None
    _, data = cv2.imencode(".png", beside_overlay(rgb, evidence.values)[..., ::-1])
    write_bytes_atomically(path, data.tobytes())


def evidence_json(path: str | os.PathLike[str], found: Sequence[EvidenceMap], files: dict[str, Path]) -> str:
    """One line of JSON: the file, and for each map its caption, limits, reason of abstention, measures and PNG."""
    maps = [
        {
            "name": item.name,
            "caption": item.caption,
            "limits": item.limits,
            "abstained": item.abstained,
            "measures": item.measures,
            "file": str(files[item.name]) if item.name in files else None,
        }
        for item in found
    ]
    return json.dumps({"path": os.fspath(path), "error": None, "maps": maps}, allow_nan=False)


def error_json(path: str | os.PathLike[str], cause: str, message: str) -> str:
    """One line of JSON for a picture that could not be read."""
    return json.dumps({"path": os.fspath(path), "error": {"cause": cause, "message": message}, "maps": []})
