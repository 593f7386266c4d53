"""Scenes with faces, made from the astronaut portrait that scikit-image ships (public domain)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

import interceptor
from interceptor.media.faces import FaceDetector
from interceptor.runtime.network import Network

HEAD = (224.0, 112.0)
"""Centre of the astronaut's face in the portrait, pixels."""
HEAD_SIDE = 125.0
"""About the side of her face's crop there."""


@cache
def detector() -> FaceDetector:
    weights = Path(interceptor.__file__).parent / "weights" / "centerface.onnx"
    return FaceDetector(lambda shape: Network(weights, shape=shape))


@cache
def astronaut() -> np.ndarray:
    return pytest.importorskip("skimage.data").astronaut()


@cache
def other_person() -> np.ndarray:
    """The portrait mirrored about the face, darker and of other colours."""
    flip = np.array([[-1.0, 0, 2 * HEAD[0]], [0, 1, 0]])
    mirrored = cv2.warpAffine(astronaut(), flip, (512, 512), borderMode=cv2.BORDER_REFLECT)
    return (mirrored[..., [1, 2, 0]] * 0.6).astype(np.uint8)


def background(height: int = 360, width: int = 640) -> np.ndarray:
    """A smooth grey-green gradient, uint8[height, width, 3]."""
    ramp = np.linspace(60, 160, width)[None, :, None] * np.array([0.8, 1.0, 0.7])
    return np.broadcast_to(ramp, (height, width, 3)).astype(np.uint8)


def placement(center: tuple[float, float], side: float, angle: float = 0.0) -> np.ndarray:
    """float64[2, 3] from the portrait to a scene: its face at `center`, crop side `side`, `angle` degrees clockwise."""
    matrix = cv2.getRotationMatrix2D(HEAD, -angle, side / HEAD_SIDE)
    matrix[:, 2] += np.array(center) - HEAD
    return matrix


def paste(scene: np.ndarray, matrix: np.ndarray, portrait: np.ndarray | None = None) -> np.ndarray:
    """The scene with head and neck of a portrait on it."""
    portrait = astronaut() if portrait is None else portrait
    mask = np.zeros(portrait.shape[:2], np.uint8)
    cv2.ellipse(mask, (int(HEAD[0]), int(HEAD[1])), (95, 105), 0, 0, 360, 255, -1)
    shape = scene.shape[1::-1]
    inside = cv2.warpAffine(mask, matrix, shape)[..., None] / 255
    head = cv2.warpAffine(portrait, matrix, shape, borderMode=cv2.BORDER_REFLECT)
    return (scene * (1 - inside) + head * inside).astype(np.uint8)
