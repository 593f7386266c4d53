"""Resolution: a face that was scaled down and up, or sharpened, other than what is around it."""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.forges.blend import Change, Forged, ForgeError, Place, blend
from interceptor.forges.masks import face_outline
from interceptor.media.clips import FaceClip
from interceptor.media.crops import CROP_SIZE, crop_side

SMALLEST = 8
"""Pixels a side that are left of any picture."""
LEAST = 1.5
"""Levels of 255 by which a change must alter the face's luma on average: many faces were blurred before, and a blur of
a blur is no artefact."""
TRIES = 6


def forge(clip: FaceClip, rng: np.random.Generator) -> Forged:
    """A resolution of 0.3 to 0.75 of what the clip has (at most the crop's), or sharpening, that alters the face by
    `LEAST` in its finest view. Raises `ForgeError` where `TRIES` draws do not: the face has no detail to lose.
    """
    if clip.native:
        finest, landmarks = clip.native[0].pixels, clip.native[0].landmarks
        width = min(CROP_SIZE, *(crop_side(one.landmarks) for one in clip.native))
    else:
        finest, landmarks, width = clip.crops[0], clip.landmarks[0], CROP_SIZE
    place = Place(0, 0, np.diag([scale := crop_side(landmarks) / CROP_SIZE, scale, 1.0]))
    face = np.zeros(finest.shape[:2], np.uint8)
    cv2.fillPoly(face, [np.rint(face_outline(landmarks)).astype(np.int32)], 1)
    if not face.any():
        raise ForgeError("the face lies outside its own crop")
    before = finest.astype(np.float32)
    for _ in range(TRIES):
        change = draw(rng, width)
        if np.abs(cv2.cvtColor(change(before, place) - before, cv2.COLOR_RGB2GRAY)[face > 0]).mean() >= LEAST:
            return blend(clip, rng, change)
    raise ForgeError("the face has no detail to lose")


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
