"""The copy-move matcher: what was copied from where, within a picture or between several."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np

from interceptor.detect.copymove import exclude, keypoints, panels, periodic, regions
from interceptor.detect.copymove.keypoints import Keypoints
from interceptor.detect.copymove.models import models
from interceptor.detect.copymove.panels import Box
from interceptor.detect.copymove.result import Match, Region

MAX_PIXELS = 1_200_000
"""Larger pictures are shrunk to this before anything is sought in them."""
MAX_KEYPOINTS = 5000
ACROSS_KEYPOINTS = 1000
"""Keypoints of each picture where several are compared."""
APART = 0.04
"""Regions within one picture lie at least this far apart, as a share of the geometric mean of its sides."""
MIN_AREA = 0.0005
"""Smallest region, as a share of the picture."""
MIN_STRUCTURE = 150
"""Pixels of a region that must hold something to compare."""
MIN_CORRELATION = 0.85
MIN_DETAIL = 0.5
MAX_OVERLAP = 0.2
"""Share of a region that may lie in its own copy."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture made ready: `grey` uint8[h, w] at working size, `zoom` (x, y) from working to native pixels, native
    `shape`, `allowed` bool[h, w] where matching may take place, its `panels` and `keypoints` at working size.
    """

    grey: np.ndarray
    zoom: tuple[float, float]
    shape: tuple[int, int]
    allowed: np.ndarray
    panels: list[Box]
    keypoints: Keypoints


def match(rgb: np.ndarray) -> list[Match]:
    """Regions of `rgb` uint8[H, W, 3] that show the same, largest first. Empty where nothing was found."""
    picture = prepare(rgb, MAX_KEYPOINTS)
    apart = APART * float(np.sqrt(picture.grey.size))
    pairs = keypoints.pair(picture.keypoints, apart=apart)
    return _largest_first(_matches(picture, picture, pairs, (0, 0)))


def match_across(pictures: Sequence[np.ndarray]) -> list[Match]:
    """Regions that occur in two of `pictures` (each uint8[H, W, 3]), largest first; `source_file` and `copy_file` are
    their indices. Within one picture nothing is sought: that is `match`.
    """
    prepared = [prepare(rgb, ACROSS_KEYPOINTS) for rgb in pictures]
    found: list[Match] = []
    for i, j in combinations(range(len(prepared)), 2):
        pairs = keypoints.pair(prepared[i].keypoints, prepared[j].keypoints)
        found += _matches(prepared[i], prepared[j], pairs, (i, j))
    return _largest_first(found)


def prepare(rgb: np.ndarray, limit: int) -> Prepared:
    """Shrinks, masks, splits and describes a picture; `limit` is the number of keypoints kept."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    shape = grey.shape
    if grey.size > MAX_PIXELS:
        factor = (MAX_PIXELS / grey.size) ** 0.5
        size = np.maximum(1, np.floor(np.array(grey.shape[::-1]) * factor)).astype(int)
        grey = cv2.resize(grey, size.tolist(), interpolation=cv2.INTER_AREA)
    zoom = shape[1] / grey.shape[1], shape[0] / grey.shape[0]
    allowed = ~exclude.drawn(grey)
    boxes = panels.split(grey)
    return Prepared(grey, zoom, shape, allowed, boxes, keypoints.detect(grey, allowed, boxes, limit))


def _matches(
    first: Prepared, second: Prepared, pairs: keypoints.Pairs, files: tuple[int, int]
) -> Iterator[Match]:
    """Proven matches of two pictures (or of one with itself), those that repeat another left out."""
    one, two = first.grey.astype(np.float32), second.grey.astype(np.float32)
    kept: list[regions.Regions] = []
    for transform, points in models(pairs, max(first.grey.shape)):
        found = regions.grow(one, two, transform, points, first.allowed)
        if found is None or not _proven(found, one, two, same=first is second):
            continue
        if any(_share(found.source, other.source) > 0.5 and _share(found.copy, other.copy) > 0.5 for other in kept):
            continue
        kept.append(found)
        yield _native(found, transform, len(points), first, second, files)


def _proven(found: regions.Regions, one: np.ndarray, two: np.ndarray, *, same: bool) -> bool:
    """Whether the regions are alike by more than chance or regularity."""
    area = np.count_nonzero(found.source)
    if area < MIN_AREA * one.size or found.structure < MIN_STRUCTURE:
        return False
    if found.correlation < MIN_CORRELATION or found.detail < MIN_DETAIL:
        return False
    if same and np.count_nonzero(found.source & found.copy) > MAX_OVERLAP * area:
        return False
    sides = ((one, found.source), (two, found.copy))
    return not any(periodic.regular(periodic.levelled(grey), side, found.correlation) for grey, side in sides)


def _share(mask: np.ndarray, other: np.ndarray) -> float:
    """Share of `mask` that lies in `other`."""
    return np.count_nonzero(mask & other) / max(1, np.count_nonzero(mask))


def _native(
    found: regions.Regions,
    transform: np.ndarray,
    inliers: int,
    first: Prepared,
    second: Prepared,
    files: tuple[int, int],
) -> Match:
    """The match in native pixels; within one picture the upper region is the source."""
    source, copy = _region(found.source, first), _region(found.copy, second)
    whole = np.vstack([transform, [0, 0, 1]])
    transform = (_scaling(second.zoom) @ whole @ np.linalg.inv(_scaling(first.zoom)))[:2]
    if first is second and (copy.top, copy.left) < (source.top, source.left):
        source, copy, transform = copy, source, cv2.invertAffineTransform(transform)
    return Match(
        source,
        copy,
        transform,
        inliers,
        found.correlation,
        "keypoints",
        *files,
        _panel(source, first),
        _panel(copy, second),
    )


def _scaling(zoom: tuple[float, float]) -> np.ndarray:
    """float64[3, 3]: working pixels counted from the first one's centre to continuous native coordinates."""
    return np.array([[zoom[0], 0, zoom[0] / 2], [0, zoom[1], zoom[1] / 2], [0, 0, 1]])


def _region(mask: np.ndarray, picture: Prepared) -> Region:
    small = Region.of(mask)
    left, top, right, bottom = (
        round(edge * zoom) for edge, zoom in zip(small.box, (*picture.zoom, *picture.zoom), strict=True)
    )
    size = max(1, right - left), max(1, bottom - top)
    return Region(left, top, cv2.resize(small.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0)


def _panel(region: Region, picture: Prepared) -> int | None:
    x, y = region.centre
    return panels.panel_at(picture.panels, x / picture.zoom[0], y / picture.zoom[1])


def _largest_first(found: Iterable[Match]) -> list[Match]:
    return sorted(found, key=lambda one: -one.source.area)
