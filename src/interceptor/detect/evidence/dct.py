"""The discrete cosine transform of JPEG's blocks."""

from __future__ import annotations

import cv2
import numpy as np

BLOCK = 8
DCT = np.ascontiguousarray(cv2.dct(np.eye(BLOCK, dtype=np.float32), flags=cv2.DCT_ROWS).T)
"""float32[8, 8]: the orthonormal transform; `DCT @ block @ DCT.T` gives a JPEG's coefficients before quantisation."""


def block_dct(luma: np.ndarray, row: int = 0, column: int = 0) -> np.ndarray:
    """DCT of the whole 8 x 8 blocks of a grid that begins at (row, column): float32[H, W] to float32[h, w, 8, 8]."""
    rows, columns = (luma.shape[0] - row) // BLOCK, (luma.shape[1] - column) // BLOCK
    part = luma[row : row + rows * BLOCK, column : column + columns * BLOCK] - np.float32(128)
    down = np.matmul(DCT, part.reshape(rows, BLOCK, columns * BLOCK))
    return (down.reshape(-1, BLOCK) @ DCT.T).reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
