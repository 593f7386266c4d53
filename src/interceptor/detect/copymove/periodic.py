"""Repetition that is no copy: textures, lattices, rows of like things, straight edges.

A region that was copied resembles its copy and nothing else. A regular texture resembles itself wherever it is moved by
a period, an edge wherever it is moved along itself.
"""

from __future__ import annotations

import cv2
import numpy as np

RIVAL = 2.0
"""A place is a rival where its dissimilarity (1 - correlation) is at most so many times that of the copy."""
LOWEST, HIGHEST = 0.6, 0.9
"""Correlation that makes a rival in any case lies between these."""
LEVEL = 19
"""Side, in pixels, of the window to whose mean and contrast a picture is levelled."""
MAX_LIKE = 6
"""More places than this that look like the copy are a pattern."""


def levelled(picture: np.ndarray) -> np.ndarray:
    """float32[H, W]: every place at a mean of 0 and a like contrast, so that no bright spot decides alone."""
    mean = cv2.blur(picture, (LEVEL, LEVEL))
    deviation = cv2.sqrt(np.maximum(cv2.blur(picture * picture, (LEVEL, LEVEL)) - mean * mean, 0))
    return (picture - mean) / (deviation + 2)


def regular(picture: np.ndarray, region: np.ndarray, correlation: float) -> bool:
    """Whether `region` bool[H, W] of a `levelled` picture is found again by moving it, so that a match that correlates
    with it by `correlation` proves no more than regularity.
    """
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    patch, mask = picture[top:bottom, left:right], region[top:bottom, left:right].astype(np.float32)
    threshold = np.clip(1 - RIVAL * (1 - correlation), LOWEST, HIGHEST)
    response = cv2.matchTemplate(picture, patch, cv2.TM_CCOEFF_NORMED, mask=mask)
    alike = (np.isfinite(response) & (response > threshold) & (response < 1.01)).astype(np.uint8)
    alike[top, left] = 1
    count, labels, stats, centres = cv2.connectedComponentsWithStats(alike)
    own = labels[top, left]
    width, height = right - left, bottom - top
    if stats[own, cv2.CC_STAT_WIDTH] > width / 2 or stats[own, cv2.CC_STAT_HEIGHT] > height / 2:
        return True
    others = np.delete(centres, [0, own], axis=0)
    overlapping = (np.abs(others[:, 0] - left) < 0.75 * width) & (np.abs(others[:, 1] - top) < 0.75 * height)
    return bool(overlapping.any()) or count - 2 > MAX_LIKE
