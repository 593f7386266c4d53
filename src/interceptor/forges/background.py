"""Background and lighting: colour temperature or light direction that differs between a face and its surroundings."""

from __future__ import annotations

import numpy as np

from interceptor.forges.blend import Change, Forged, Place, blend
from interceptor.media.clips import FaceClip
from interceptor.media.crops import CROP_SIZE

KINDS = ("temperature", "direction", "both")


def forge(clip: FaceClip, rng: np.random.Generator) -> Forged:
    """A warmer or cooler light, light that falls from another side, or both."""
    return blend(clip, rng, draw(rng))


def draw(rng: np.random.Generator) -> Change:
    """One change; the same throughout a clip."""
    kind = rng.choice(KINDS)
    share = 0.7 if kind == "both" else 1.0
    balance = np.ones(3, np.float32)
    slope = np.zeros(2)
    if kind != "direction":
        balance = white_balance(share * rng.choice([-1, 1]) * rng.uniform(0.05, 0.14), rng.uniform(-0.03, 0.03))
    if kind != "temperature":
        angle = rng.uniform(0, 2 * np.pi)
        slope = share * rng.uniform(0.12, 0.3) * np.array([np.cos(angle), np.sin(angle)])

    def change(pixels: np.ndarray, place: Place) -> np.ndarray:
        return pixels * balance * light(pixels.shape[:2], place.matrix, slope)[..., None]

    return change


def white_balance(warmth: float, tint: float) -> np.ndarray:
    """Gains float32[3] of R, G and B (von Kries) that keep the luma of grey; warm is positive, magenta is positive."""
    gains = np.exp([warmth, -tint, -warmth])
    return (gains / (gains @ [0.299, 0.587, 0.114])).astype(np.float32)


def light(shape: tuple[int, int], matrix: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Gain float32[H, W] that rises along `slope` (a share for half a crop's side), 1 at the crop's centre and level
    beyond 1.3 of that. `matrix` float64[3, 3] brings the crop's pixels to the picture's.
    """
    to_crop = np.linalg.inv(matrix)
    a, b, c = (slope @ to_crop[:2] - [0, 0, slope.sum() * CROP_SIZE / 2]) / (CROP_SIZE / 2)
    height, width = shape
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    limit = 1.3 * np.hypot(*slope)
    return 1 + np.clip(a * x[None] + b * y[:, None] + c, -limit, limit).astype(np.float32)
