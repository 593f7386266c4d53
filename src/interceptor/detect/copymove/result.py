"""What the matcher finds: two regions that show the same, and the transform between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Method = Literal["keypoints", "dense"]


@dataclass(frozen=True, eq=False)
class Region:
    """A part of a picture: `mask` bool[h, w] whose top left pixel is (`left`, `top`) of the picture, native pixels."""

    left: int
    top: int
    mask: np.ndarray

    @property
    def area(self) -> int:
        return int(np.count_nonzero(self.mask))

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom; right and bottom are outside."""
        height, width = self.mask.shape
        return self.left, self.top, self.left + width, self.top + height

    @property
    def centre(self) -> tuple[float, float]:
        """x and y of the centre of gravity."""
        rows, columns = np.nonzero(self.mask)
        return self.left + float(columns.mean()) + 0.5, self.top + float(rows.mean()) + 0.5

    def paint(self, canvas: np.ndarray) -> None:
        """Sets the region's pixels in `canvas` bool[H, W] of the picture's size."""
        left, top, right, bottom = self.box
        canvas[top:bottom, left:right] |= self.mask

    @classmethod
    def of(cls, mask: np.ndarray, left: int = 0, top: int = 0) -> Region:
        """From bool[h, w] at (`left`, `top`), cut to the pixels that are set. Raises `ValueError` where none is."""
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(rows):
            raise ValueError("a region needs at least one pixel")
        part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return cls(left + int(columns[0]), top + int(rows[0]), part.copy())


@dataclass(frozen=True, eq=False)
class Match:
    """Two regions that show the same.

    Which of the two is the original cannot be told from the pixels alone: `source` is the one in the earlier file, or
    the one further up (then further left) in its picture. `transform` float64[2, 3] takes continuous native
    coordinates (x, y) of the source to those of the copy. `correlation` is the mean local normalised correlation over
    the region, -1..1; `inliers` counts distinct correspondences.
    """

    source: Region
    copy: Region
    transform: np.ndarray
    inliers: int
    correlation: float
    method: Method
    source_file: int = 0
    copy_file: int = 0
    source_panel: int | None = None
    copy_panel: int | None = None

    @property
    def flip(self) -> bool:
        """Whether the copy is mirrored."""
        return bool(np.linalg.det(self.transform[:, :2]) < 0)

    @property
    def scale(self) -> float:
        """Size of the copy in terms of the source."""
        return math.sqrt(abs(float(np.linalg.det(self.transform[:, :2]))))

    @property
    def angle(self) -> float:
        """Degrees, -180..180, that the source is turned clockwise, after being mirrored left to right where `flip`."""
        (a, b), (c, d) = self.transform[:, :2]
        if self.flip:
            a, c = -a, -c
        return math.degrees(math.atan2(c - b, a + d))

    def painted(self, shape: tuple[int, ...]) -> np.ndarray:
        """bool[H, W] of a picture of `shape`: source and copy together, which must lie in that one picture."""
        canvas = np.zeros(shape[:2], bool)
        self.source.paint(canvas)
        self.copy.paint(canvas)
        return canvas


def instances(matches: Sequence[Match], shape: tuple[int, ...]) -> np.ndarray:
    """bool[n, H, W]: a region and all its copies in one plane; matches that share a region are one instance."""
    planes: list[np.ndarray] = []
    for one in matches:
        plane = own = one.painted(shape)
        for other in planes:
            if (other & own).any():
                plane = plane | other
        planes = [other for other in planes if not (other & own).any()] + [plane]
    return np.array(planes, bool).reshape(-1, *shape[:2])
