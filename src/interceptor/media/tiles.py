"""Large pictures in square tiles of one size, and maps of tiles laid together without seams."""

from __future__ import annotations

import cv2
import numpy as np


def fitted(rgb: np.ndarray, side: int) -> np.ndarray:
    """uint8[H, W, 3] squeezed or enlarged to uint8[side, side, 3]."""
    shrinks = rgb.shape[0] * rgb.shape[1] > side * side
    return cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin along a side of `length` pixels: evenly, at least `overlap` shared by neighbours.

    One tile, beginning at 0, where the side is no longer than a tile.
    """
    if length <= tile:
        return [0]
    count = 1 + -(-(length - tile) // (tile - overlap))
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def feather(begins: list[int], tile: int, length: int) -> np.ndarray:
    """The share of each tile in each pixel along a side, float32[tiles, length]; shares of a pixel sum to 1.

    A tile's weight falls towards its ends, so that maps fade into each other. In two dimensions the share is the
    product of both sides' shares.
    """
    ramp = np.minimum(np.arange(tile) + 1, np.arange(tile)[::-1] + 1).astype(np.float32)
    weights = np.zeros((len(begins), length), np.float32)
    for row, begin in zip(weights, begins, strict=True):
        row[begin : begin + tile] = ramp[: length - begin]
    return weights / weights.sum(axis=0)
