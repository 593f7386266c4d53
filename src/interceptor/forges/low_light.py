"""Low light: brightness or sensor noise that differs between a face and what is around it."""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.forges.blend import Change, Forged, Place, blend
from interceptor.media.clips import FaceClip

KINDS = ("gamma", "exposure", "noise", "night")


def forge(clip: FaceClip, rng: np.random.Generator) -> Forged:
    """Another gamma (up to 1.5), exposure (up to 0.55 stops), grain, or a shorter exposure with grain."""
    return blend(clip, rng, draw(rng))


def draw(rng: np.random.Generator) -> Change:
    """One change; the same light throughout a clip, fresh grain in every frame."""
    kind = rng.choice(KINDS)
    gamma = gain = 1.0
    sign = rng.choice([-1, 1])
    if kind == "gamma":
        gamma = float(np.exp(sign * rng.uniform(0.15, 0.4)))
    elif kind == "exposure":
        gain = float(np.exp(sign * rng.uniform(0.12, 0.38)))
    elif kind == "night":
        gain = float(np.exp(-rng.uniform(0.1, 0.35)))
    sigma = rng.uniform(2, 7) if kind in ("noise", "night") else 0.0
    size, seed = rng.uniform(0.3, 0.9), int(rng.integers(2**32))

    def change(pixels: np.ndarray, place: Place) -> np.ndarray:
        if gamma != 1:
            pixels = 255 * (pixels / 255) ** gamma
        pixels = pixels * np.float32(gain)
        return pixels + grain(pixels, sigma, size, place.rng(seed)) if sigma else pixels

    return change


def grain(pixels: np.ndarray, sigma: float, size: float, rng: np.random.Generator) -> np.ndarray:
    """Sensor noise for a picture float32[H, W, 3]: `sigma` grey levels at mid-grey, stronger in the light (shot noise)
    but not gone in the dark (read noise), mostly of luma, and as wide as a Gaussian of `size` pixels.
    """
    height, width = pixels.shape[:2]
    noise = rng.standard_normal((height, width, 4), np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), size)
    noise /= noise.std()
    luma = cv2.cvtColor(np.clip(pixels, 0, 255) / 255, cv2.COLOR_RGB2GRAY)[..., None]
    return np.float32(sigma) * np.sqrt(0.25 + 1.5 * luma) * (noise[..., :1] + np.float32(0.4) * noise[..., 1:])
