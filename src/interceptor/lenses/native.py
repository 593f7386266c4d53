"""What the two lenses at native resolution share: a fixed window that keeps the codec's grid."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from interceptor.lenses.abstain import Abstain
from interceptor.media.clips import FaceClip
from interceptor.media.crops import CROP_SIZE

GRID = 8


def native_windows(clip: FaceClip) -> Iterator[np.ndarray]:
    """uint8[224, 224, 3] for each crop, its corner on the grid, no pixel resampled.

    Larger native crops give their central window, moved to the grid. Smaller ones, at the edge of a small frame, stay
    at the corner and are mirrored beyond their last whole block, which carries the grid on.
    """
    if clip.native is None:
        raise Abstain("the pixels of the original frame are not at hand, only resized crops")
    for crop in clip.native:
        pixels = crop.pixels
        height, width = pixels.shape[:2]
        if min(height, width) < GRID:
            raise Abstain(f"the frame is too small: {width} x {height} pixels around the face")
        top, left = (max(0, side - CROP_SIZE) // 2 // GRID * GRID for side in (height, width))
        window = pixels[top : top + CROP_SIZE, left : left + CROP_SIZE]
        if window.shape[:2] != (CROP_SIZE, CROP_SIZE):
            rows, columns = (_mirrored(side) for side in window.shape[:2])
            window = window[np.ix_(rows, columns)]
        yield np.ascontiguousarray(window)


def luma_windows(clip: FaceClip) -> np.ndarray:
    """float32[n, 224, 224], 0..255: BT.601 luma of the native windows."""
    return np.stack([cv2.cvtColor(window.astype(np.float32), cv2.COLOR_RGB2GRAY) for window in native_windows(clip)])


def _mirrored(side: int) -> np.ndarray:
    """int[224]: which of `side` pixels to show, back and forth over whole blocks where they are too few."""
    whole = side if side >= CROP_SIZE else side // GRID * GRID
    place = np.arange(CROP_SIZE) % (2 * whole)
    return np.minimum(place, 2 * whole - 1 - place)
