"""A detector without a network, and clips for it: processes that look for faces start in no time."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from interceptor.media.crops import TEMPLATE
from interceptor.media.faces import Face, FaceDetector
from media_maker import encode

FACE = Face(np.array([40, 20, 120, 110], np.float32), TEMPLATE * 70 + np.float32([45, 25]), 0.9)
DEADLY = 96
"""Height of the clips that end the process which looks at them."""


class Pretence(FaceDetector):
    """Sees one face where bright clips have none, without a network; clips of the deadly height end the process."""

    def __init__(self) -> None:
        pass

    def __call__(self, rgb: np.ndarray) -> list[Face]:
        if rgb.shape[0] == DEADLY:
            os._exit(3)
        return [] if rgb.mean() > 240 else [FACE]


def clip(path: Path, seed: int, *, height: int = 120, bright: bool = False) -> Path:
    """A second of a still with a sound."""
    rng = np.random.default_rng(seed)
    still = cv2.resize(rng.integers(0, 200, (8, 10, 3), np.uint8), (160, height))
    sound = 0.3 * np.sin(np.arange(16_000) / (3 + seed)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    return encode(path, [np.full_like(still, 250) if bright else still] * 25, audio=sound)
