"""Native crops: the pixels around a face as the frame has them, never resampled, on the codec's grid."""

from __future__ import annotations

import math

import numpy as np

from interceptor.media.clips import NativeCrop
from interceptor.media.crops import CROP_SIZE, similarity
from interceptor.media.probe import MediaInfo

GRID = 8
NATIVE_SIDE = 224
"""Native crops are at least this wide where the frame is: a small face comes with the pixels around it."""


def native_crop(rgb: np.ndarray, landmarks: np.ndarray, phase: tuple[int, int] = (0, 0)) -> NativeCrop:
    """The upright square around a face out of a frame uint8[H, W, 3], its corner on the grid, at least `NATIVE_SIDE`.

    `phase`: where the grid's first lines lie (x, y), 0 to 7 pixels from the frame's corner.
    """
    matrix = similarity(landmarks)
    center = np.linalg.solve(matrix[:, :2], CROP_SIZE / 2 - matrix[:, 2])
    side = CROP_SIZE * np.abs(np.linalg.inv(matrix[:, :2]))[0].sum()
    size = GRID * math.ceil(max(side, NATIVE_SIDE) / GRID)
    corner, end = [], []
    for middle, offset, limit in zip(center, phase, rgb.shape[1::-1], strict=True):
        wanted = GRID * round((middle - size / 2 - offset) / GRID)
        last = max(0, (limit - offset - size) // GRID * GRID)
        corner.append(offset + min(max(wanted, 0), last))
        end.append(min(corner[-1] + size, limit))
    pixels = np.ascontiguousarray(rgb[corner[1] : end[1], corner[0] : end[0]])
    return NativeCrop(pixels, (np.asarray(landmarks) - corner).astype(np.float32))


def grid_phase(info: MediaInfo) -> tuple[int, int]:
    """Where the codec's grid has its first lines (x, y) in the displayed picture: turning moves it off the corner."""
    mirrored_x, mirrored_y = info.rotation in (90, 180), info.rotation in (180, 270)
    return (info.width % GRID if mirrored_x else 0, info.height % GRID if mirrored_y else 0)
