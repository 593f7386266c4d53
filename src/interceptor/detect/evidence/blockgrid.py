"""Traces of JPEG's 8 x 8 grid: where does a region sit on another grid than the picture?

After T. Nikoukhah, J. Anger, M. Colom, J.-M. Morel, R. Grompone von Gioi, "ZERO: a local JPEG grid origin detector
based on the number of DCT zeros and its applications in image forensics", IPOL 11, 2021: a pixel votes for the grid
whose block around it has the most zeros among its DCT coefficients, and votes are believed when chance cannot explain
them. Foreign grids are looked for in square windows of three sizes here, where ZERO grows regions.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from interceptor.detect.evidence.dct import BLOCK
from interceptor.detect.evidence.maps import EvidenceMap, share_above_half, spread
from interceptor.detect.evidence.picture import Picture
from interceptor.detect.evidence.votes import ORIGINS, grid_votes, votes_of_blocks

NAME = "blockgrid"
LIMITS = (
    "One paste in 64 falls on the picture's own grid and is not seen. Nothing is seen where the pasted part never "
    "was a JPEG, was scaled or turned after it was one, is smaller than about 32 pixels, or where the whole was "
    "saved as a JPEG of less than about 98 afterwards. Collages and screenshots show several grids honestly; "
    "patterns that repeat every 8 pixels can imitate one."
)
WINDOWS = (4, 8, 16)
"""Sides of the windows, in blocks of 8 pixels."""


def log10_nfa(tests: float, cases: float, hits: np.ndarray, chance: float | np.ndarray = 1 / ORIGINS) -> np.ndarray:
    """Logarithm of the number of false alarms: how many of `tests` would by chance see `hits` or more of `cases`.

    Hoeffding's bound of the binomial tail is used, so this is never too sure.
    """
    share = np.clip(hits / max(cases, 1e-9), 1e-12, 1)
    rest = np.maximum(1 - share, 1e-12)
    surprise = share * np.log(share / chance) + rest * np.log(rest / (1 - chance))
    return math.log10(tests) - np.where(share > chance, cases * surprise, 0) / math.log(10)


def foreign_grids(counts: np.ndarray, main: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Where windows vote for another grid than `main`: (float32 log10 NFA, int grid), both [rows, columns] of blocks.

    Chance is 1/64, or the grid's share of the whole picture's votes where that is more: beside the main grid, those
    that share its rows or columns win more often. A block takes the surest window around it, if the blocks next to it
    vote for that window's grid themselves.
    """
    _, rows, columns = counts.shape
    tests = float(ORIGINS * rows * columns * len(WINDOWS))
    best, which = np.zeros((rows, columns), np.float32), np.full((rows, columns), -1)
    for grid in range(ORIGINS):
        chance = max(1 / ORIGINS, float(counts[grid].mean()) / ORIGINS)
        near = cv2.boxFilter(counts[grid], -1, (5, 5), borderType=cv2.BORDER_REFLECT) > 5 * chance * ORIGINS
        if grid == main or not near.any():
            continue
        for side in WINDOWS:
            if side > min(rows, columns):
                continue
            # Pixels are not independent: a block's worth of votes counts as one (as in ZERO).
            hits = (
                cv2.boxFilter(counts[grid], -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT) / ORIGINS
            )
            window = np.float32(log10_nfa(tests, side * side, hits, chance))
            window = cv2.erode(window, np.ones((side + 1, side + 1), np.uint8))
            better = near & (window < best)
            best[better], which[better] = window[better], grid
    return best, which


def main_grid(counts: np.ndarray) -> tuple[int | None, float]:
    """The grid of the picture as a whole, or None, and its log10 NFA. It must have a fifth of all pixels' votes."""
    totals = counts.sum(axis=(1, 2)) / ORIGINS
    blocks = counts.shape[1] * counts.shape[2]
    nfa = float(log10_nfa(ORIGINS, blocks, totals).min())
    return (int(totals.argmax()) if nfa < 0 and totals.max() > blocks / 5 else None), min(nfa, 0.0)


def blockgrid(picture: Picture) -> EvidenceMap:
    """Regions that lie on another 8 x 8 grid than the rest, from any file that once was a JPEG, in whole or in part."""
    if min(picture.shape) < 64:
        return EvidenceMap.abstain(NAME, LIMITS, "the picture is smaller than 64 pixels a side")
    counts = picture.grid_counts
    main, main_nfa = main_grid(counts)
    if main is not None:  # the last save hides older grids: they are seen once its own no longer stands
        counts = votes_of_blocks(grid_votes(picture.zeros, without=main))
    nfa, which = foreign_grids(counts, main)
    values = spread(np.where(nfa < 0, 0.5 + np.minimum(-nfa, 20) / 40, 0), BLOCK, picture.shape)
    measures = {
        "foreign_area": share_above_half(values),
        "foreign_log10_nfa": float(nfa.min()),
        "main_grid_row": float(main // BLOCK) if main is not None else -1.0,
        "main_grid_column": float(main % BLOCK) if main is not None else -1.0,
        "main_grid_log10_nfa": main_nfa,
    }
    return EvidenceMap(NAME, values, _caption(main, nfa, which, measures), LIMITS, measures=measures)


def _caption(main: int | None, nfa: np.ndarray, which: np.ndarray, measures: dict[str, float]) -> str:
    if main is None:
        whole = "The picture as a whole shows no JPEG grid."
    elif main == 0:
        whole = "The picture shows the traces of one JPEG grid, beginning in its corner."
    else:
        shift = f"{main % BLOCK} across and {main // BLOCK} down"
        whole = f"The picture shows a JPEG grid shifted by {shift}: it was cropped since."
    if not (nfa < 0).any():
        return f"{whole} No region lies on another grid."
    grid = int(which.ravel()[nfa.argmin()])
    where = f"shifted by {grid % BLOCK} across and {grid // BLOCK} down"
    share = measures["foreign_area"]
    return (
        f"{whole} The bright regions ({share:.1%} of the area) lie on another grid, {where}: they were pasted or moved."
    )
