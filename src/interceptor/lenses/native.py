"""What the two lenses at native resolution share: the whole face in tiles that keep the codec's grid."""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.lenses.abstain import Abstain
from interceptor.media.clips import FaceClip
from interceptor.media.crops import CROP_SIZE

GRID = 8
PLACES = 7
"""Tiles a side, one for each place at which a module meets its backbone."""
TILE = CROP_SIZE // PLACES
"""Their side: four blocks of the codec's grid."""

View = tuple[np.ndarray, np.ndarray]
"""int[224] rows and int[224] columns of a native crop, for `numpy.ix_`."""


def native_views(clip: FaceClip) -> list[tuple[np.ndarray, View]]:
    """Whole blocks uint8[h, w, 3] of each native crop, and which pixels of it a lens shows: 7 x 7 tiles of 32 x 32.

    No pixel is resampled and each tile's corner lies on the grid. A crop of 224 is shown as it is. Of a larger one
    the tiles are spread evenly over all of it, since what tells is where a blend ends, not its middle. A smaller one,
    at the edge of a small frame, stays at the corner and is mirrored.
    """
    if clip.native is None:
        raise Abstain("the pixels of the original frame are not at hand, only resized crops")
    views = []
    for crop in clip.native:
        height, width = crop.pixels.shape[:2]
        if min(height, width) < GRID:
            raise Abstain(f"the frame is too small: {width} x {height} pixels around the face")
        whole = crop.pixels[: height // GRID * GRID, : width // GRID * GRID]
        views.append((whole, (_shown(len(whole)), _shown(whole.shape[1]))))
    return views


def native_windows(clip: FaceClip) -> list[np.ndarray]:
    """uint8[224, 224, 3] for each crop: its `native_views`."""
    return [np.ascontiguousarray(pixels[np.ix_(*view)]) for pixels, view in native_views(clip)]


def luma(pixels: np.ndarray) -> np.ndarray:
    """float32[h, w], 0..255: BT.601 luma."""
    return cv2.cvtColor(pixels.astype(np.float32), cv2.COLOR_RGB2GRAY)


def _shown(side: int) -> np.ndarray:
    """int[224]: which of `side` pixels (whole blocks) to show, in tiles; back and forth where they are too few."""
    if side < CROP_SIZE:
        place = np.arange(CROP_SIZE) % (2 * side)
        return np.minimum(place, 2 * side - 1 - place)
    corners = np.linspace(0, (side - TILE) // GRID, PLACES).astype(int) * GRID
    return (corners[:, None] + np.arange(TILE)).ravel()
