"""Compression: a face that was compressed once more, or once less, than what is around it."""

from __future__ import annotations

import numpy as np

from interceptor.forges.blend import Change, Forged, Place, blend
from interceptor.forges.codecs import h264, jpeg
from interceptor.media.clips import FaceClip

BLOCK = 8


def forge(clip: FaceClip, rng: np.random.Generator) -> Forged:
    """A second H.264 (CRF 23-40) or JPEG (quality 30-75) pass, on the first one's grid or beside it."""
    return blend(clip, rng, draw(rng))


def draw(rng: np.random.Generator) -> Change:
    """One codec, its strength and the place of its grid; each view is coded by itself, as it stands."""
    video = rng.random() < 0.5
    strength = int(rng.integers(23, 41) if video else rng.integers(30, 76))
    # The grid of crops and native crops starts in their corner: (0, 0) is aligned with the first compression.
    down, right = rng.integers(0, BLOCK, 2) if rng.random() < 0.5 else (0, 0)

    def change(pixels: np.ndarray, place: Place) -> np.ndarray:
        height, width = pixels.shape[:2]
        below, beside = -(height + down) % BLOCK, -(width + right) % BLOCK
        whole = np.pad(pixels.astype(np.uint8), ((down, below), (right, beside), (0, 0)), mode="edge")
        coded = h264(whole, strength) if video else jpeg(whole, strength)
        return coded[down : down + height, right : right + width].astype(np.float32)

    return change
