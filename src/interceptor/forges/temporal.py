"""Time: a face that does not hold still as its surroundings do."""

from __future__ import annotations

import numpy as np

from interceptor.forges.blend import Change, Drift, Forged, Place, blend, shift, warped
from interceptor.media.clips import FaceClip
from interceptor.media.crops import CROP_SIZE

KINDS = ("jitter", "flicker", "drift")
FRAME = 1 / 25
"""Seconds from a crop to its neighbours, which carry no times of their own; only the speed of a drift rests on it."""


def forge(clip: FaceClip, rng: np.random.Generator) -> Forged:
    """A face that jumps or flickers from frame to frame, or floats on its blend.

    The change is always on the face: what shakes as a whole is a camera.
    """
    kind = rng.choice(KINDS)
    if kind == "drift":
        change, drift = draw_drift(rng, clip.times)
        return blend(clip, rng, change, either_side=False, drift=drift)
    return blend(clip, rng, draw_jitter(rng) if kind == "jitter" else draw_flicker(rng), either_side=False)


def draw_jitter(rng: np.random.Generator) -> Change:
    """Every frame's face moved by itself: 0.4 to 1 of an amplitude of 1 to 2.5 pixels of the crop, turned up to 1
    degree, scaled up to 1 %.
    """
    amplitude, seed = rng.uniform(1, 2.5), int(rng.integers(2**32))

    def change(pixels: np.ndarray, place: Place) -> np.ndarray:
        own = place.rng(seed)
        angle, length = own.uniform(0, 2 * np.pi), amplitude * own.uniform(0.4, 1)
        turn, size = np.radians(own.uniform(-1, 1)), own.uniform(0.99, 1.01)
        return moved(pixels, place, length * np.array([np.cos(angle), np.sin(angle)]), turn, size)

    return change


def draw_flicker(rng: np.random.Generator) -> Change:
    """Every frame's face brighter or darker by itself, by 0.3 to 1 of an amplitude of 4 to 10 %, its colours by a
    quarter of that.
    """
    amplitude, seed = rng.uniform(0.04, 0.1), int(rng.integers(2**32))

    def change(pixels: np.ndarray, place: Place) -> np.ndarray:
        own = place.rng(seed)
        gain = own.choice([-1, 1]) * own.uniform(0.3, 1) + own.uniform(-0.25, 0.25, 3)
        return pixels * (1 + amplitude * gain).astype(np.float32)

    return change


def draw_drift(rng: np.random.Generator, times: np.ndarray) -> tuple[Change, Drift]:
    """A face of slightly other colour that floats, blend and all: 3 to 7 pixels of the crop to either side, once in
    0.7 to 2 seconds.
    """
    angle, phase = rng.uniform(0, 2 * np.pi, 2)
    along = rng.uniform(3, 7) * np.array([np.cos(angle), np.sin(angle)])
    period, tint = rng.uniform(0.7, 2), rng.choice([-1, 1], 3) * rng.uniform(2, 5, 3)

    def drift(place: Place) -> np.ndarray:
        time = times[place.crop] + FRAME * place.step
        return along * np.sin(2 * np.pi * time / period + phase)

    def change(pixels: np.ndarray, place: Place) -> np.ndarray:
        return moved(pixels, place, drift(place), 0.0, 1.0) + tint.astype(np.float32)

    return change, drift


def moved(pixels: np.ndarray, place: Place, by: np.ndarray, turn: float, size: float) -> np.ndarray:
    """`pixels` moved by `by` pixels of the crop, turned (radians) and scaled about the crop's centre."""
    c, s = size * np.cos(turn), size * np.sin(turn)
    centre = np.full(2, CROP_SIZE / 2)
    step = shift(centre + by) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ shift(-centre)
    matrix = place.matrix @ step @ np.linalg.inv(place.matrix)
    return warped(pixels, matrix, pixels.shape[1::-1], cubic=True)
