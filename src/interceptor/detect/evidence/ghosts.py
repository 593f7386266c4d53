"""JPEG ghosts: was a region once compressed at a lower quality than the rest?

H. Farid, "Exposing Digital Forgeries from JPEG Ghosts", IEEE TIFS 4(1), 2009: a region that was a JPEG of quality q
before changes less than expected when the picture is saved at q once more. The dip is measured for each 16 x 16
square, and what the whole picture shares (an earlier save of all of it) is taken out.
"""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.detect.evidence.dct import BLOCK
from interceptor.detect.evidence.maps import LEAST_AREA, EvidenceMap, share_above_half, spread
from interceptor.detect.evidence.picture import Picture

NAME = "ghosts"
LIMITS = (
    "Seen only where the region had a lower quality than the last save of the whole, and where its grid is the "
    "picture's or one of the three other grids with the most votes. Smooth parts say nothing. A region that was "
    "merely darkened or repainted inside the camera's own JPEG can look the same as a paste."
)
QUALITIES = tuple(range(40, 100, 5))
SQUARE = 16
MOST_PIXELS = 3_000_000
"""Of larger pictures every second square, or fewer, is looked at: time does not grow with their size."""
FOREIGN = 3
LEAST_CHANGE = 3.0
"""Mean squared change at the lowest quality below which a square is too smooth to say anything."""
FULL_DIP = 0.3
"""Dip, as a share of the square's largest change, that is drawn at full brightness."""


def thinned(luma: np.ndarray) -> tuple[np.ndarray, int]:
    """Every n-th square of uint8[H, W] in each direction, joined, and n: a JPEG's blocks do not see each other."""
    n = max(1, round(np.sqrt(luma.size / MOST_PIXELS)))
    rows, columns = (side // (SQUARE * n) for side in luma.shape)
    if n == 1 or not rows or not columns:
        return luma, 1
    squares = luma[: rows * SQUARE * n, : columns * SQUARE * n].reshape(rows, n, SQUARE, columns, n, SQUARE)
    return np.ascontiguousarray(squares[:, n // 2, :, :, n // 2].reshape(rows * SQUARE, columns * SQUARE)), n


def changes(luma: np.ndarray) -> np.ndarray:
    """Mean squared change of each square when saved at each of `QUALITIES`: float32[qualities, H // 16, W // 16].

    `luma` uint8[H, W] on the grid that begins in its corner.
    """
    area = (luma.shape[1] // SQUARE, luma.shape[0] // SQUARE)
    whole = np.ascontiguousarray(luma[: area[1] * SQUARE, : area[0] * SQUARE])
    found = []
    for quality in QUALITIES:
        _, data = cv2.imencode(".jpg", whole, [cv2.IMWRITE_JPEG_QUALITY, quality])
        change = cv2.absdiff(whole, cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
        found.append(cv2.resize(np.float32(change) ** 2, area, interpolation=cv2.INTER_AREA))
    return np.stack(found)


def dips(change: np.ndarray) -> np.ndarray:
    """How far the change at each quality lies below the largest at a better one, float32 as `changes`, 0..1.

    Without an earlier compression the change falls steadily with rising quality, so that there is no dip. Noise of
    single squares is smoothed over 3 x 3 of them first.
    """
    smooth = np.stack([cv2.blur(layer, (3, 3), borderType=cv2.BORDER_REFLECT) for layer in change])
    later = np.maximum.accumulate(smooth[::-1])[::-1]
    scale = np.maximum(smooth.max(axis=0), 1e-6)
    return np.where(smooth[0] > LEAST_CHANGE, (later - smooth) / scale, 0)


def ghosts(picture: Picture) -> EvidenceMap:
    """Regions whose changes dip at a quality where the rest's do not."""
    if min(picture.shape) < 64:
        return EvidenceMap.abstain(NAME, LIMITS, "the picture is smaller than 64 pixels a side")
    luma = np.round(picture.luma).astype(np.uint8)
    totals = picture.grid_counts.sum(axis=(1, 2))
    values, best, quality = np.zeros(picture.shape, np.float32), 0.0, 0
    for grid in dict.fromkeys([0, *np.argsort(-totals)[: FOREIGN + 1].tolist()]):
        row, column = divmod(grid, BLOCK)
        squares, apart = thinned(luma[row:, column:])
        found = dips(changes(squares))
        # What most of the picture shares is its own history; a region without it is as telling as one with another.
        excess = np.abs(found - np.median(found, axis=(1, 2), keepdims=True))
        if excess.max() > best:
            best, quality = float(excess.max()), QUALITIES[int(excess.max(axis=(1, 2)).argmax())]
        values = np.maximum(values, spread(excess.max(axis=0) / FULL_DIP, SQUARE * apart, picture.shape, (row, column)))
    measures = {"ghost_area": share_above_half(values), "deepest_dip": best, "quality": float(quality)}
    if measures["ghost_area"] > LEAST_AREA:
        caption = (
            f"The bright regions ({measures['ghost_area']:.1%} of the area) behave as if they, or everything but "
            f"they, had once been saved as a JPEG of a quality near {quality}."
        )
    else:
        caption = "No region shows an earlier JPEG compression that the rest does not show."
    return EvidenceMap(NAME, values, caption, LIMITS, measures=measures)
