"""Self-blended faces: a face blended onto itself after a small change, so that only the blend betrays it.

Shiohara & Yamasaki, Detecting Deepfakes with Self-Blended Images, CVPR 2022 (arXiv 2204.08376). The paper takes the
hull of 81 landmarks; here the outline of a face is laid through five (eyes, nose, mouth corners), which the detector
gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from interceptor.forges.codecs import jpeg
from interceptor.forges.masks import draw_shape, face_outline
from interceptor.forges.resolution import rescaled, sharpened


@dataclass(frozen=True)
class Forgery:
    """A forged picture beside its original."""

    real: np.ndarray
    """uint8[H, W, 3] RGB"""
    fake: np.ndarray
    """uint8[H, W, 3] RGB; bit-identical to `real` wherever `mask` is 0"""
    mask: np.ndarray
    """float32[H, W], 0..1: the share of the changed face in each pixel"""


def self_blend(image: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator) -> Forgery:
    """Blend the face in `image` onto itself.

    image: uint8[H, W, 3] RGB. landmarks: float[5, 2] in pixels (eyes, nose, mouth corners, left before right as seen).
    """
    mask = draw_shape(rng).render(image.shape[:2], landmarks)
    changed = _changed(image, rng)
    source, target = (changed, image) if rng.random() < 0.5 else (image, changed)
    source = _moved(source, landmarks, rng)
    weight = mask[..., None]
    fake = np.rint(source * weight + target * (1 - weight)).astype(np.uint8)
    return Forgery(target, fake, mask)


def _changed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A small change of colour, and then of sharpness, resolution or compression."""
    pixels = image.astype(np.float32)
    pixels += rng.uniform(-10, 10, 3)
    hsv = cv2.cvtColor(np.clip(pixels, 0, 255).astype(np.uint8), cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + rng.uniform(-4, 4)) % 180
    hsv[..., 1:] *= rng.uniform(0.75, 1.25, 2)
    pixels = cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.float32)
    mean = pixels.mean((0, 1))
    pixels = (pixels - mean) * rng.uniform(0.85, 1.15) + mean
    match rng.choice(["sharpen", "shrink", "jpeg", "none"], p=[0.25, 0.45, 0.15, 0.15]):
        case "sharpen":
            pixels = sharpened(pixels, 1.5, rng.uniform(0.2, 0.8))
        case "shrink":
            ratio, up = rng.uniform(0.25, 0.7), int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
            pixels = rescaled(pixels, ratio, cv2.INTER_AREA, up)
        case "jpeg":
            pixels = jpeg(np.clip(pixels, 0, 255).astype(np.uint8), int(rng.integers(40, 95))).astype(np.float32)
    return np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)


def _moved(image: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shift by up to 3 %, scale by up to 5 % of the face, about the nose."""
    size = np.ptp(face_outline(landmarks), axis=0)
    centre = np.asarray(landmarks, np.float64)[2]
    scale = rng.uniform(0.95, 1.05, 2)
    shift = rng.uniform(-0.03, 0.03, 2) * size
    matrix = np.column_stack([np.diag(scale), centre - scale * centre + shift])
    return cv2.warpAffine(image, matrix, image.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
