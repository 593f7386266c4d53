"""A picture as the full localizers are given it, in training and at work."""

from __future__ import annotations

import numpy as np

from interceptor.media.ela import ela
from interceptor.media.tiles import fitted

MEAN, STD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
"""Of ImageNet's pictures, red, green and blue, for values within 0..1."""
ELA_MEAN, ELA_STD = np.float32(5), np.float32(5)
"""About those of error levels, in grey levels."""


def network_input(rgb: np.ndarray, side: int, *, error_levels: bool = False) -> np.ndarray:
    """uint8[H, W, 3] to float32[3 or 4, side, side]: squeezed to a square, ImageNet-normalised.

    With `error_levels` a fourth channel holds them, taken at the picture's own size, as resizing wipes out the traces
    of compression.
    """
    colours = ((fitted(rgb, side) / np.float32(255) - MEAN) / STD).transpose(2, 0, 1)
    if not error_levels:
        return np.ascontiguousarray(colours)
    levels = (fitted(ela(rgb).astype(np.float32), side) - ELA_MEAN) / ELA_STD
    return np.concatenate([colours, levels[None]])
