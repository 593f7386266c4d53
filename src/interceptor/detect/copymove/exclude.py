"""What repeats in every figure and proves nothing: letters, axes, scale bars, legends.

Areas of one colour need no mask: no keypoint lies there, and `regions` finds nothing to compare in them.
"""

from __future__ import annotations

import cv2
import numpy as np

FLAT = 2
"""Grey levels within 3 x 3 pixels up to which a place is of one colour."""
GROUND = 0.001
"""Share of the picture from which an area of one colour is a ground that marks are drawn on."""
LETTER = 0.06
"""Marks are lower (or narrower) than this share of the picture's longer side."""
SPARSE = 0.15
"""Larger marks (axes, frames, curves) fill at most this share of their bounding box."""
CONTRAST = 40
SHARP = 0.6
"""Drawn marks rise to this share of their contrast within 3 x 3 pixels; what a lens saw does not."""
WHITE, BLACK = 252, 3
AROUND = 9
"""Side, in pixels, of the windows in which a region's edges are looked at."""
GRAPHIC = 0.98
"""Three quarters of a drawn region's edges rise within 3 x 3 pixels to this share of the contrast around them. Charts
had .99 and more, the most sharply woven cloth .93."""
EDGES = 0.3
"""Share of a region that must be near such edges for it to be judged."""


def drawn(grey: np.ndarray) -> np.ndarray:
    """bool[H, W]: the marks drawn on areas of one colour or over the picture. `grey` is uint8[H, W]."""
    steepness = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    ground = _large(steepness <= FLAT, GROUND * grey.size)
    ground = cv2.dilate(ground.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    marks = np.zeros(grey.shape, bool)
    if ground.any():
        marks |= _marks(~ground, grey, steepness)
    for extreme in (grey >= WHITE, grey <= BLACK):
        around = cv2.dilate((extreme & ~ground).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        marks |= _marks(around, grey, steepness)
    return cv2.dilate(marks.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0


def graphic(grey: np.ndarray, region: np.ndarray) -> bool:
    """Whether `region` bool[H, W] of `grey` uint8[H, W] shows a drawing (a chart, text), which repeats honestly."""
    steepness = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    steepest = cv2.dilate(steepness, np.ones((AROUND - 2, AROUND - 2), np.uint8))
    contrast = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((AROUND, AROUND), np.uint8))
    edges = region & (contrast >= CONTRAST)
    if np.count_nonzero(edges) < EDGES * np.count_nonzero(region):
        return False
    return bool(np.percentile(steepest[edges] / contrast[edges], 25) >= GRAPHIC)


def _large(mask: np.ndarray, least: float) -> np.ndarray:
    """bool[H, W]: the connected parts of `mask` of at least so many pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    kept = stats[:, cv2.CC_STAT_AREA] >= least
    kept[0] = False
    return kept[labels]


def _marks(mask: np.ndarray, grey: np.ndarray, steepness: np.ndarray) -> np.ndarray:
    """bool[H, W]: the connected parts of `mask` that are shaped as letters, lines or bars and have sharp edges."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    small = np.minimum(width, height) <= LETTER * max(grey.shape)
    shaped = small | (stats[:, cv2.CC_STAT_AREA] <= SPARSE * width * height)
    shaped[0] = False
    where = np.flatnonzero(shaped[labels])
    of = labels.ravel()[where]
    low, high, steepest = np.full(count, 255, np.uint8), np.zeros(count, np.uint8), np.zeros(count, np.uint8)
    np.minimum.at(low, of, grey.ravel()[where])
    np.maximum.at(high, of, grey.ravel()[where])
    np.maximum.at(steepest, of, steepness.ravel()[where])
    contrast = high.astype(int) - low
    return (shaped & (contrast >= CONTRAST) & (steepest >= SHARP * contrast))[labels]
