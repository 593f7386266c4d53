"""The copy-move matcher: what was copied from where, within a picture or between several."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np

from interceptor.detect.copymove import decision, dense, exclude, keypoints, panels, periodic, regions
from interceptor.detect.copymove.keypoints import Keypoints, Pairs
from interceptor.detect.copymove.models import MIN_INLIERS, models
from interceptor.detect.copymove.panels import Box
from interceptor.detect.copymove.regions import Regions
from interceptor.detect.copymove.result import Match, Method, Region

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
REFINED = 0.5
"""Correlation from which a model is worth refining."""
BARE, ENOUGH = 49, 6
"""Places with fewer keypoints than the second in a window whose side is the first are bare: a copy might show none."""
MIN_BARE = 0.05
"""The dense field is sought where keypoints found nothing and this share of the picture is bare."""
MAX_OVERLAP = 0.2
"""Share of a region that may lie in its own copy."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture made ready: `grey` uint8[h, w] at working size, `zoom` (x, y) from working to native pixels,
    `allowed` bool[h, w] where matching may take place, its `panels` and `keypoints` at working size.
    """

    grey: np.ndarray
    zoom: tuple[float, float]
    allowed: np.ndarray
    panels: list[Box]
    keypoints: Keypoints


def match(rgb: np.ndarray) -> list[Match]:
    """Regions of `rgb` uint8[H, W, 3] that show the same, largest first. Empty where nothing was found."""
    picture = prepare(rgb, MAX_KEYPOINTS)
    apart = APART * float(np.sqrt(picture.grey.size))
    pairs = keypoints.pair(picture.keypoints, apart=apart)
    found = list(_matches(picture, picture, pairs, (0, 0)))
    bare = _bare(picture)
    if not found and np.count_nonzero(bare) > MIN_BARE * bare.size:
        pairs = dense.field_pairs(picture.grey, bare, apart)
        found = list(_matches(picture, picture, pairs, (0, 0), "dense"))
    return _largest_first(found)


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
    return Prepared(grey, zoom, allowed, boxes, keypoints.detect(grey, allowed, boxes, limit))


def _bare(picture: Prepared) -> np.ndarray:
    """bool[h, w]: where matching may take place, few keypoints are near, and not all is of one colour."""
    count = np.zeros(picture.grey.shape, np.float32)
    height, width = picture.grey.shape
    columns, rows = np.round(picture.keypoints.points).astype(int).T
    np.add.at(count, (rows.clip(0, height - 1), columns.clip(0, width - 1)), 1)
    count = cv2.boxFilter(count, -1, (BARE, BARE), normalize=False, borderType=cv2.BORDER_CONSTANT)
    varied = cv2.morphologyEx(picture.grey, cv2.MORPH_GRADIENT, np.ones((BARE // 2, BARE // 2), np.uint8)) > 4
    return picture.allowed & (count < ENOUGH) & varied


def _matches(
    first: Prepared, second: Prepared, pairs: Pairs, files: tuple[int, int], method: Method = "keypoints"
) -> Iterator[Match]:
    """Proven matches of two pictures (or of one with itself), those that repeat another left out."""
    one, two = first.grey.astype(np.float32), second.grey.astype(np.float32)
    candidates = []
    for transform, points in models(pairs, max(first.grey.shape)):
        found, transform = _grown(one, two, transform, points, first.allowed)
        if found is not None and _sizeable(found, same=first is second):
            candidates.append((found, transform, len(points)))
    levelled = [periodic.levelled(one), periodic.levelled(two)] if candidates else []
    kept: list[Regions] = []
    for found, transform, inliers in candidates:
        if any(_same(found, other) for other in kept):
            continue
        rivals = [
            other.correlation
            for other, _, others in candidates
            if others > MIN_INLIERS and not _touch(found, other, same=first is second)
        ]
        if not decision.convincing(found, transform, inliers, rivals, method):
            continue
        sides = zip(levelled, (found.source, found.copy), strict=True)
        if any(periodic.regular(picture, side, found.correlation) for picture, side in sides):
            continue
        if exclude.graphic(first.grey, found.source):
            continue
        kept.append(found)
        found = regions.fill(one, two, transform, found)
        yield _native(found, transform, inliers, first, second, files, method)


def _grown(
    one: np.ndarray, two: np.ndarray, transform: np.ndarray, points: np.ndarray, allowed: np.ndarray
) -> tuple[Regions | None, np.ndarray]:
    """The regions of a model, and the model: refined where that makes them more alike."""
    if not regions.promising(one, two, transform, points):
        return None, transform
    found = regions.grow(one, two, transform, points, allowed)
    if found is None or found.correlation < REFINED:
        return found, transform
    better = regions.refine(one, two, transform, found.source)
    again = regions.grow(one, two, better, points, allowed)
    return (again, better) if again is not None and again.correlation > found.correlation else (found, transform)


def _sizeable(found: Regions, *, same: bool) -> bool:
    """Whether the regions are large enough, and apart where they lie in the same picture."""
    area = np.count_nonzero(found.source)
    if area < MIN_AREA * found.source.size or found.structure < MIN_STRUCTURE:
        return False
    return not same or _share(found.source, found.copy) <= MAX_OVERLAP


def _touch(one: Regions, other: Regions, *, same: bool) -> bool:
    """Whether two pairs share a region, as several copies of one source do."""
    if same:
        return bool(((one.source | one.copy) & (other.source | other.copy)).any())
    return bool((one.source & other.source).any() or (one.copy & other.copy).any())


def _same(one: Regions, other: Regions) -> bool:
    """Whether most of a pair has been found before."""
    return _share(one.source, other.source) > 0.5 and _share(one.copy, other.copy) > 0.5


def _share(mask: np.ndarray, other: np.ndarray) -> float:
    """Share of `mask` that lies in `other`."""
    return float(np.count_nonzero(mask & other) / max(1, int(np.count_nonzero(mask))))


def _native(
    found: Regions,
    transform: np.ndarray,
    inliers: int,
    first: Prepared,
    second: Prepared,
    files: tuple[int, int],
    method: Method,
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
        method,
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
