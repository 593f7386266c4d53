"""Large pictures in square tiles of one size, and maps of tiles laid together without seams."""

from __future__ import annotations

import cv2
import numpy as np


def fitted(array: np.ndarray, side: int) -> np.ndarray:
    """[H, W] or [H, W, 3] of any size squeezed or enlarged to a square of `side` pixels, of the same dtype."""
    return resized(array, side, side)


def resized(array: np.ndarray, width: int, height: int) -> np.ndarray:
    """[H, W] or [H, W, 3] at another size, averaged where it shrinks, else interpolated; of the same dtype."""
    shrinks = array.shape[0] * array.shape[1] > width * height
    return cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


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
