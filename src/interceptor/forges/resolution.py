"""Resolution: a face that was scaled down and up, or sharpened, other than what is around it."""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.forges.blend import Change, Forged, Place, blend
from interceptor.media.clips import FaceClip
from interceptor.media.crops import CROP_SIZE, crop_side

SMALLEST = 8
"""Pixels a side that are left of any picture."""


def forge(clip: FaceClip, rng: np.random.Generator) -> Forged:
    """A resolution of 0.3 to 0.75 of what the clip has (at most the crop's), or sharpening."""
    native = min((crop_side(one.landmarks) for one in clip.native), default=CROP_SIZE) if clip.native else CROP_SIZE
    return blend(clip, rng, draw(rng, min(CROP_SIZE, native)))


def draw(rng: np.random.Generator, width: float) -> Change:
    """One change; `width` in pixels is what the face's crop has. A view coarser than the new resolution stays."""
    if rng.random() < 0.4:
        sigma, amount = rng.uniform(0.8, 1.8), rng.uniform(0.4, 1.2)
        return lambda pixels, place: sharpened(pixels, max(0.5, sigma * place.scale), amount)
    left = width * rng.uniform(0.3, 0.75)
    down = int(rng.choice([cv2.INTER_AREA, cv2.INTER_LINEAR]))
    up = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4]))

    def change(pixels: np.ndarray, place: Place) -> np.ndarray:
        ratio = left / (CROP_SIZE * place.scale)
        return rescaled(pixels, ratio, down, up) if ratio < 1 else pixels

    return change


def rescaled(pixels: np.ndarray, ratio: float, down: int, up: int) -> np.ndarray:
    """Shrunk to `ratio` (0..1) and brought back, by OpenCV's interpolations `down` and `up`."""
    height, width = pixels.shape[:2]
    small = max(SMALLEST, int(width * ratio)), max(SMALLEST, int(height * ratio))
    return cv2.resize(cv2.resize(pixels, small, interpolation=down), (width, height), interpolation=up)


def sharpened(pixels: np.ndarray, sigma: float, amount: float) -> np.ndarray:
    """Unsharp masking of float32[H, W, 3]."""
    return pixels + (pixels - cv2.GaussianBlur(pixels, (0, 0), sigma)) * np.float32(amount)
