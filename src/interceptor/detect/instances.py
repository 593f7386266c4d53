"""Connected regions of a map of probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

REFERENCE = 512 * 512
"""Least areas are given in pixels of a picture of this many."""


@dataclass(frozen=True)
class Instance:
    """A connected region called altered."""

    box: tuple[int, int, int, int]
    """Left, top, right, bottom in pixels, right and bottom outside."""
    area: int
    """Pixels."""
    share: float
    """Of the picture."""
    probability: float
    """The mean over its pixels."""


def find_instances(probability_map: np.ndarray, threshold: float, area: float) -> tuple[np.ndarray, list[Instance]]:
    """Regions of float32[H, W] at `threshold` or above, connected over corners too, largest first.

    Smaller ones than `area`, in pixels of a picture of 512 x 512, are left out. Returns the labels, unsigned integers
    [H, W] as wide as need be, and the instances.
    """
    height, width = probability_map.shape
    called = (probability_map >= threshold).view(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(called, connectivity=8)
    del called  # a hundred megabytes of a large picture
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    kept = [i for i in np.argsort(-areas, kind="stable") if areas[i] >= max(1, area * height * width / REFERENCE)]
    instances = []
    for i in kept:
        left, top, w, h, size = (int(value) for value in stats[i])
        box = np.s_[top : top + h, left : left + w]
        mean = cv2.mean(probability_map[box], (labels[box] == i).view(np.uint8))[0]
        instances.append(Instance((left, top, left + w, top + h), size, size / (height * width), mean))
    renamed = np.zeros(count, np.min_scalar_type(len(kept)))
    renamed[kept] = np.arange(1, len(kept) + 1)
    return renamed[labels], instances
