"""Whether two regions that look alike are a copy: prints, tiles and rows of like cells look alike too."""

from __future__ import annotations

import numpy as np

from interceptor.detect.copymove.regions import Regions
from interceptor.detect.copymove.result import Method

ALONE = 0.9, 0.6
"""Correlation, and correlation of the detail, from which a pair is a copy if it is not squeezed and has nearly the same
tones. With other tones it needs `FEW` inliers and no other candidate that reaches the first, or `CROWD` inliers."""
CROWD = 20
AHEAD = 0.8
"""Correlation from which a pair is a copy if it is ahead of every other candidate by `LEAD`, and not squeezed."""
LEAD = 0.1
MAX_SQUEEZE = 1.12
"""Factor of width to height up to which a pair is not squeezed: what merely resembles is matched by stretching it."""
EXACT, EXACT_MANY, EXACT_FEW = (0.7, 0.45), (0.7, 0.3), (0.9, 0.5)
"""Correlations from which a pair of the same tones and shape is a copy whatever else the picture holds: cloth and
cells repeat, but never to the grey level. With twice `FEW` inliers the second pair will do; fewer need the third."""
MAX_OFFSET, NEAR_OFFSET, MAX_GAIN, EXACT_SQUEEZE = 2.0, 4.0, 1.2, 1.08
"""Grey levels of brightness up to which tones are the same, and nearly; factors of contrast, and of width to height."""
MIN_CORNERS, SOME_CORNERS = 0.15, 0.25
"""Share of a region's structure that must not be mere edges; copies had .33 and more, the rim of a disc .05, bands
of blots .2. The second is for what is not `ALONE`."""
FEW: dict[Method, int] = {"keypoints": 6, "dense": 30}
"""Inliers that a pair needs to be accepted because it is ahead."""


def convincing(found: Regions, transform: np.ndarray, inliers: int, rivals: list[float], method: Method) -> bool:
    """Whether a pair is so alike that it needs no comparison, or alike and well ahead of all other candidates.

    `transform` float64[2, 3] is the pair's model, with so many distinct `inliers`; `rivals` are the correlations of
    candidates elsewhere in the picture. Prints, tiles and rows of like objects give many candidates of
    middling correlation; a copy gives one.
    """
    few = FEW[method]
    alike, detail, rival = found.correlation, found.detail, max(rivals, default=0.0)
    if found.corners < MIN_CORNERS:
        return False
    if _exact(found, transform):
        needed = EXACT_FEW if inliers < few else EXACT_MANY if inliers >= 2 * few else EXACT
        if alike >= needed[0] and detail >= needed[1]:
            return True
    if _squeeze(transform) > MAX_SQUEEZE:
        return False
    alone = alike >= ALONE[0] and detail >= ALONE[1]
    if alone and _same_tones(found, NEAR_OFFSET):
        return True
    if inliers < few:
        return False
    if alone and (rival < ALONE[0] or inliers >= CROWD):
        return True
    return alike >= AHEAD and alike > rival + LEAD and found.corners >= SOME_CORNERS


def _exact(found: Regions, transform: np.ndarray) -> bool:
    """Whether two regions have the same brightness and contrast, and one is the other neither sheared nor stretched."""
    same = _same_tones(found, MAX_OFFSET) and _squeeze(transform) <= EXACT_SQUEEZE
    return same and found.corners >= SOME_CORNERS


def _same_tones(found: Regions, offset: float) -> bool:
    return abs(found.offset) <= offset and 1 / MAX_GAIN <= found.gain <= MAX_GAIN


def _squeeze(transform: np.ndarray) -> float:
    """How much more a model stretches along one direction than across it, 1 or more."""
    stretch = np.linalg.svd(transform[:, :2], compute_uv=False)
    return float(stretch[0] / stretch[1])
