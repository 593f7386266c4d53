"""Lenses at half resolution: what the standard specialists look through, at a quarter of the cost."""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.lenses.table import LENSES
from interceptor.media.crops import CROP_SIZE

HALF_SIZE = CROP_SIZE // 2
PLACES = 7
"""Modules pool to a grid of 7 x 7 places, 32 pixels of the lens each."""
NATIVE = frozenset(code for code, lens in LENSES.items() if "native" in lens.views)
"""Lenses of single pixels, which averaging would destroy: signed detail cancels out, and blocks lose their grid."""


def half(code: str, seen: np.ndarray) -> np.ndarray:
    """The lens of specialist `code`, float32[n, 3, 224, 224], as float32[n, 3, 112, 112].

    Averaged over areas; those of `NATIVE` are not resampled: of each of the 7 x 7 places the middle 16 x 16 pixels are
    kept, four whole blocks of the codec's grid. (The window's middle 112 x 112 would keep the grid too, but shows the
    inside of most faces alone, never the edge of a blend.)
    """
    if code in NATIVE:
        cell, keep = CROP_SIZE // PLACES, HALF_SIZE // PLACES
        first = (cell - keep) // 2
        tiles = seen.reshape(len(seen), 3, PLACES, cell, PLACES, cell)
        kept = tiles[:, :, :, first : first + keep, :, first : first + keep]
        return np.ascontiguousarray(kept.reshape(len(seen), 3, HALF_SIZE, HALF_SIZE))
    out = np.empty((len(seen), 3, HALF_SIZE, HALF_SIZE), np.float32)
    for small, channels in zip(out, seen, strict=True):
        for channel, plane in zip(small, channels, strict=True):
            cv2.resize(plane, (HALF_SIZE, HALF_SIZE), channel, interpolation=cv2.INTER_AREA)
    return out
