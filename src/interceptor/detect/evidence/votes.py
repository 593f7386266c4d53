"""Votes for the place of JPEG's 8 x 8 grid, pixel by pixel.

T. Nikoukhah, J. Anger, M. Colom, J.-M. Morel, R. Grompone von Gioi, "ZERO: a local JPEG grid origin detector based on
the number of DCT zeros and its applications in image forensics", IPOL 11, 2021.
"""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.detect.evidence.dct import BLOCK, DCT

ORIGINS = BLOCK * BLOCK
STRIP = 512
"""Rows that are looked at together, which bounds the memory."""


def grid_votes(luma: np.ndarray, without: int | None = None) -> np.ndarray:
    """For each pixel the grid it votes for: uint8[H, W], 8 * row + column of the grid's origin, or 64 for no vote.

    A pixel votes for the one 8 x 8 window around it that has the most DCT coefficients below 0.5, by the place of that
    window modulo 8. It has no vote where two windows tie, or where the best one is the same along its rows or columns
    (as in flat parts, whose zeros come from no grid), nor within 7 pixels of the border.
    """
    height, width = luma.shape
    votes = np.full((height, width), ORIGINS, np.uint8)
    for top in range(0, height - BLOCK + 1, STRIP):
        # Windows of this strip and those that begin up to 7 rows above, which contain its pixels too.
        first, last = max(0, top - BLOCK + 1), min(height, top + STRIP + BLOCK - 1)
        end = min(height, top + STRIP)
        votes[top:end] = _strip_votes(luma[first:last], first, without)[top - first : end - first]
    votes[: BLOCK - 1], votes[1 - BLOCK :], votes[:, : BLOCK - 1], votes[:, 1 - BLOCK :] = (ORIGINS,) * 4
    return votes


def _strip_votes(luma: np.ndarray, first_row: int, without: int | None) -> np.ndarray:
    zeros = np.zeros(luma.shape, np.uint8)
    flat_rows = np.zeros(luma.shape, np.uint8)  # zeros in the first column of coefficients: all rows alike
    flat_columns = np.zeros(luma.shape, np.uint8)
    anchor = (0, 0)  # a window is named by its top left pixel
    for row in range(BLOCK):
        for column in range(BLOCK):
            if row == column == 0:
                continue
            found = cv2.sepFilter2D(
                luma, cv2.CV_32F, DCT[column], DCT[row], anchor=anchor, borderType=cv2.BORDER_REFLECT
            )
            small = cv2.inRange(found, -0.5, 0.5) & 1
            zeros += small
            if column == 0:
                flat_rows += small
            if row == 0:
                flat_columns += small
    rows, columns = np.arange(luma.shape[0]) + first_row, np.arange(luma.shape[1])
    origin = ((rows % BLOCK) * BLOCK)[:, None] + columns % BLOCK
    zeros[(flat_rows == BLOCK - 1) | (flat_columns == BLOCK - 1)] = 0
    if without is not None:
        zeros[origin == without] = 0
    count = zeros.astype(np.uint16) * np.uint16(ORIGINS)
    # The 64 windows around a pixel have 64 different origins: a tie shows as two different winners.
    around, kernel = (BLOCK - 1, BLOCK - 1), np.ones((BLOCK, BLOCK), np.uint8)
    forward = cv2.dilate(count + origin.astype(np.uint16), kernel, anchor=around) % ORIGINS
    backward = (
        ORIGINS - 1 - cv2.dilate(count + (ORIGINS - 1 - origin).astype(np.uint16), kernel, anchor=around) % ORIGINS
    )
    return np.where(forward == backward, forward, ORIGINS).astype(np.uint8)


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
