"""Votes for the place of JPEG's 8 x 8 grid, pixel by pixel.

T. Nikoukhah, J. Anger, M. Colom, J.-M. Morel, R. Grompone von Gioi, "ZERO: a local JPEG grid origin detector based on
the number of DCT zeros and its applications in image forensics", IPOL 11, 2021.
"""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.detect.evidence.dct import BLOCK, DCT

ORIGINS = BLOCK * BLOCK
BELOW = 0.499
"""Coefficients of whole grey levels are often exactly one half, which rounding would throw to either side."""
STRIP = 512
"""Rows that are looked at together, which bounds the memory."""


def window_zeros(luma: np.ndarray) -> np.ndarray:
    """How many DCT coefficients of the 8 x 8 window that begins at each pixel are below 0.5: uint8[H, W].

    0 where the window is the same along its rows or columns, as in flat parts, whose zeros come from no grid; and for
    windows that leave the picture.
    """
    height, width = luma.shape
    zeros = np.zeros((height, width), np.uint8)
    last = height - BLOCK + 1
    for top in range(0, last, STRIP):
        end = min(last, top + STRIP)
        zeros[top:end, : 1 - BLOCK] = _strip_zeros(luma[top : end + BLOCK - 1])[: end - top, : 1 - BLOCK]
    return zeros


def _strip_zeros(luma: np.ndarray) -> np.ndarray:
    zeros = np.zeros(luma.shape, np.uint8)
    flat_rows = np.zeros(luma.shape, np.uint8)  # zeros in the first column of coefficients: all rows alike
    flat_columns = np.zeros(luma.shape, np.uint8)
    for column in range(BLOCK):
        across = _filtered(luma, DCT[column][None])
        for row in range(BLOCK):
            if row == column == 0:
                continue
            small = cv2.inRange(_filtered(across, DCT[row][:, None]), -BELOW, BELOW) & 1
            zeros += small
            if column == 0:
                flat_rows += small
            if row == 0:
                flat_columns += small
    zeros[(flat_rows == BLOCK - 1) | (flat_columns == BLOCK - 1)] = 0
    return zeros


def _filtered(luma: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Correlated with a kernel that begins at each pixel."""
    return cv2.filter2D(luma, cv2.CV_32F, kernel, anchor=(0, 0), borderType=cv2.BORDER_REFLECT)


def grid_votes(zeros: np.ndarray, without: int | None = None) -> np.ndarray:
    """For each pixel the grid it votes for: uint8[H, W], 8 * row + column of the grid's origin, or 64 for no vote.

    `zeros` are those of `window_zeros`. A pixel votes for the one 8 x 8 window around it that has the most, by the
    place of that window modulo 8, leaving out the grid `without`. It has no vote where two windows tie, nor within 7
    pixels of the border.
    """
    rows, columns = np.arange(zeros.shape[0]), np.arange(zeros.shape[1])
    origin = ((rows % BLOCK) * BLOCK)[:, None].astype(np.uint16) + (columns % BLOCK).astype(np.uint16)
    count = zeros.astype(np.uint16) * np.uint16(ORIGINS)
    if without is not None:
        count[origin == without] = 0
    # The 64 windows around a pixel have 64 different origins: a tie shows as two different winners.
    around, kernel = (BLOCK - 1, BLOCK - 1), np.ones((BLOCK, BLOCK), np.uint8)
    forward = cv2.dilate(count + origin, kernel, anchor=around) % ORIGINS
    backward = ORIGINS - 1 - cv2.dilate(count + (ORIGINS - 1 - origin), kernel, anchor=around) % ORIGINS
    votes = np.where(forward == backward, forward, ORIGINS).astype(np.uint8)
    votes[: BLOCK - 1], votes[1 - BLOCK :], votes[:, : BLOCK - 1], votes[:, 1 - BLOCK :] = (ORIGINS,) * 4
    return votes


def votes_of_blocks(votes: np.ndarray) -> np.ndarray:
    """How many pixels of each 8 x 8 block of the picture vote for each grid: float32[64, H // 8, W // 8]."""
    rows, columns = votes.shape[0] // BLOCK, votes.shape[1] // BLOCK
    whole = votes[: rows * BLOCK, : columns * BLOCK]
    area = (columns, rows)
    # Averages of 8 x 8 areas, which OpenCV does fast, are counts over 64.
    return (
        np.stack([cv2.resize(np.float32(whole == grid), area, interpolation=cv2.INTER_AREA) for grid in range(ORIGINS)])
        * ORIGINS
    )
