"""Keypoints that look alike: RootSIFT (Arandjelović and Zisserman, CVPR 2012) of a picture against itself and against
its mirror image, or of one picture against another.

Coordinates are OpenCV's: the centre of the top left pixel is (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

CONTRAST_THRESHOLD = 0.01
"""A quarter of SIFT's usual: the structures in question are faint as often as not."""
SMALL = 512
"""A panel whose sides' geometric mean is smaller is enlarged, at most `ENLARGE` times."""
ENLARGE = 2.0
NEIGHBOURS = 10
"""Descriptors found beside each; the last of them tells how alike things are in this picture that are no copies."""
COPIES = 6
"""Neighbours that may be accepted: a region is followed to so many copies."""
RATIO = 0.8
"""A neighbour is accepted within this share of the last neighbour's distance (Lowe's test, for several copies)."""
MAX_DISTANCE = 0.6
"""Upper limit of the distance between descriptors of a copy; unrelated ones are mostly beyond 0.8 (of at most 1.41)."""
CHUNK = 1000
STRIDE = 16
"""Columns of likeness that are looked through together."""


@dataclass(frozen=True, eq=False)
class Keypoints:
    """n keypoints: `points` float32[n, 2], `angles` in radians float32[n], `sizes` in pixels float32[n] and unit
    `descriptors` float32[n, 128].
    """

    points: np.ndarray
    angles: np.ndarray
    sizes: np.ndarray
    descriptors: np.ndarray

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, eq=False)
class Pairs:
    """n correspondences: `source` and `target` float32[n, 2], and `linear` float32[n, 2, 2], each one's own estimate
    of how its neighbourhood is turned, scaled and mirrored; `distance` float32[n], smaller is surer.
    """

    source: np.ndarray
    target: np.ndarray
    linear: np.ndarray
    distance: np.ndarray

    def __len__(self) -> int:
        return len(self.source)

    def take(self, chosen: np.ndarray) -> Pairs:
        return Pairs(self.source[chosen], self.target[chosen], self.linear[chosen], self.distance[chosen])


def detect(grey: np.ndarray, allowed: np.ndarray, boxes: list[tuple[int, int, int, int]], limit: int) -> Keypoints:
    """Keypoints of `grey` uint8[H, W] where `allowed` bool[H, W]: first of the panels `boxes` (left, top, right,
    bottom), then of the rest.

    The contrast of each is stretched to the full range first, and small ones are enlarged. At most `limit` in all,
    shared by area and spread over each.
    """
    rest = allowed.copy()
    parts = []
    for left, top, right, bottom in boxes:
        parts.append((left, top, grey[top:bottom, left:right], allowed[top:bottom, left:right]))
        rest[top:bottom, left:right] = False
    parts.append((0, 0, grey, rest))
    total = max(1, int(np.count_nonzero(allowed)))
    found = []
    for left, top, part, where in parts:
        one = _detect_one(part, where, round(limit * int(np.count_nonzero(where)) / total))
        found.append(Keypoints(one.points + np.array([left, top], np.float32), one.angles, one.sizes, one.descriptors))
    fields = ("points", "angles", "sizes", "descriptors")
    return Keypoints(*(np.concatenate([getattr(one, field) for one in found]) for field in fields))


def _detect_one(grey: np.ndarray, allowed: np.ndarray, limit: int) -> Keypoints:
    empty = Keypoints(*(np.empty(shape, np.float32) for shape in ((0, 2), 0, 0, (0, 128))))
    if min(grey.shape) < 16 or limit < 1:
        return empty
    low, high = np.percentile(grey[allowed], (0.5, 99.5))
    if high - low < 4:
        return empty
    factor = min(ENLARGE, max(1.0, SMALL / (grey.shape[0] * grey.shape[1]) ** 0.5))
    stretched = cv2.convertScaleAbs(np.clip(grey.astype(np.float32) - low, 0, high - low), alpha=255 / (high - low))
    if factor > 1:
        stretched = cv2.resize(stretched, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    sift = cv2.SIFT.create(contrastThreshold=CONTRAST_THRESHOLD)
    keypoints = sift.detect(stretched, None)
    if not keypoints:
        return empty
    real = np.array(stretched.shape[1::-1]) / grey.shape[1::-1]
    points = (np.array([k.pt for k in keypoints]) + 0.5) / real - 0.5
    columns, rows = np.clip(np.round(points).astype(int), 0, np.array(grey.shape[1::-1]) - 1).T
    inside = allowed[rows, columns]
    chosen = _spread(points, np.array([k.response for k in keypoints]), inside, grey.shape, limit)
    if not len(chosen):
        return empty
    keypoints, descriptors = sift.compute(stretched, [keypoints[i] for i in chosen])
    descriptors /= np.maximum(descriptors.sum(1, keepdims=True), 1e-6)
    points = (np.array([k.pt for k in keypoints]) + 0.5) / real - 0.5
    angles = np.radians([k.angle for k in keypoints])
    sizes = np.array([k.size for k in keypoints]) / factor
    return Keypoints(*(each.astype(np.float32) for each in (points, angles, sizes, np.sqrt(descriptors))))


def _spread(
    points: np.ndarray, responses: np.ndarray, inside: np.ndarray, shape: tuple[int, ...], limit: int
) -> np.ndarray:
    """Indices of the keypoints kept: the strongest of each of 16 x 16 cells first, so that no part takes all."""
    order = np.flatnonzero(inside)[np.argsort(-responses[inside], kind="stable")]
    cells = np.floor(points[order] / np.array(shape[1::-1]) * 16).astype(int) @ [1, 16]
    by_cell = np.argsort(cells, kind="stable")
    first = np.searchsorted(cells[by_cell], cells[by_cell])
    rank = np.empty(len(order), int)
    rank[by_cell] = np.arange(len(order)) - first
    return order[np.argsort(rank, kind="stable")[:limit]]


def mirrored(descriptors: np.ndarray) -> np.ndarray:
    """Descriptors of the same keypoints in the mirror image, float32[n, 128]: SIFT's 4 x 4 places and 8 directions,
    with the axis across the keypoint's own direction reversed.
    """
    places = descriptors.reshape(-1, 4, 4, 8)
    return places[:, ::-1][..., -np.arange(8) % 8].reshape(len(descriptors), 128)


def pair(first: Keypoints, second: Keypoints | None = None, *, apart: float = 0.0) -> Pairs:
    """Alike keypoints of `first` and `second`, or of `first` and itself at least `apart` pixels apart."""
    other = first if second is None else second
    count = len(other)
    if len(first) < 2 or count < 2:
        return Pairs(*(np.empty(shape, np.float32) for shape in ((0, 2), (0, 2), (0, 2, 2), 0)))
    pool = np.concatenate([other.descriptors, mirrored(other.descriptors), np.zeros((-2 * count % STRIDE, 128))])
    pool = pool.T.astype(np.float32, order="C")
    neighbours = min(NEIGHBOURS, 2 * count - 1)
    squares = np.sum(first.points**2, axis=1)
    sources, targets, distances = [], [], []
    for start in range(0, len(first), CHUNK):
        rows = slice(start, start + CHUNK)
        likeness = first.descriptors[rows] @ pool
        if second is None:
            near = squares[rows, None] + squares[None] - 2 * (first.points[rows] @ first.points.T) < apart**2
            np.copyto(likeness[:, :count], -1, where=near)
            np.copyto(likeness[:, count : 2 * count], -1, where=near)
        best, likeness, alike = _best(likeness, neighbours)
        distance = np.sqrt(np.maximum(2 - 2 * likeness, 0))
        limit = np.minimum(RATIO * distance[:, -1:], MAX_DISTANCE)
        row, rank = np.nonzero(distance[:, :COPIES] < limit)
        sources.append(start + alike[row])
        targets.append(best[row, rank])
        distances.append(distance[row, rank])
    source, target = np.concatenate(sources), np.concatenate(targets)
    flipped, target = target >= count, target % count
    linear = _linear(other.sizes[target] / first.sizes[source], first.angles[source], other.angles[target], flipped)
    return Pairs(first.points[source], other.points[target], linear, np.concatenate(distances))


def _best(likeness: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of float32[n, m] the columns of each row's `count` highest values, those values, highest first, and the rows.

    Only rows that hold a likeness in question are given. m is a multiple of `STRIDE`.
    """
    # The highest values lie among the columns, `STRIDE` each, whose own highest are the highest.
    folded = likeness.reshape(len(likeness), STRIDE, -1)
    highest = folded.max(1)
    alike = np.flatnonzero(highest.max(1) > 1 - MAX_DISTANCE**2 / 2)  # most rows end here
    kept = min(count, highest.shape[1])
    columns = np.argpartition(highest[alike], -kept, axis=1)[:, -kept:]
    places = (columns[:, None] + np.arange(STRIDE)[:, None] * highest.shape[1]).reshape(len(alike), kept * STRIDE)
    values = likeness[alike[:, None], places]
    order = np.argsort(-values, axis=1)[:, :count]
    return np.take_along_axis(places, order, 1), np.take_along_axis(values, order, 1), alike


def _linear(scale: np.ndarray, source: np.ndarray, target: np.ndarray, flipped: np.ndarray) -> np.ndarray:
    """float32[n, 2, 2]: turns by -source, mirrors across the x axis where `flipped`, turns by target, scales."""
    sign = np.where(flipped, -1, 1)
    cs, ss, ct, st = np.cos(source), np.sin(source), np.cos(target), np.sin(target)
    rows = [[ct * cs + sign * st * ss, ct * ss - sign * st * cs], [st * cs - sign * ct * ss, st * ss + sign * ct * cs]]
    return (np.array(rows) * scale).transpose(2, 0, 1).astype(np.float32)
