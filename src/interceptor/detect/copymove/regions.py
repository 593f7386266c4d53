"""From a transform to the two regions that show the same: grown and trimmed by local normalised correlation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

WINDOW = 9
"""Side, in pixels, of the window in which pictures are compared."""
ALIKE = 0.75
"""Local correlation from which two places show the same."""
LIKELY = 0.5
"""The same in a window twice as wide, for places beside a proven copy that have its tones."""
UNLIKE = 0.4
"""Local correlation up to which places that hold something do not show the same."""
PROMISING = 0.3
"""Mean local correlation about its correspondences from which a model is looked into."""
MAX_SHIFT = 8.0
"""Pixels by which `refine` may move a corner of a region's box."""
NOISE, FAINT = 1.5, 6.0
"""Grey levels (standard deviation) below which a window holds nothing to compare, or only little."""


@dataclass(frozen=True, eq=False)
class Regions:
    """`source` and `copy` bool[H, W] of their pictures; mean local `correlation` over the source region; `detail`, the
    correlation of what is left after blurring; `structure`, the number of its pixels that hold something to compare;
    `corners`, the share of these about which the picture changes in more than one direction; over these pixels also
    `gain` and `offset`: contrast and brightness of the copy, in terms of the source and in grey levels above it.
    """

    source: np.ndarray
    copy: np.ndarray
    correlation: float
    detail: float
    structure: int
    corners: float
    gain: float
    offset: float


def grow(
    first: np.ndarray, second: np.ndarray, transform: np.ndarray, points: np.ndarray, allowed: np.ndarray
) -> Regions | None:
    """The regions of `first` and `second` float32[H, W] (one and the same picture, or two) that `transform` maps onto
    each other around `points` float32[n, 2] of the first, where `allowed` bool[H, W] of the first.

    None where nothing around the points is alike.
    """
    aligned, covered = align(second, transform, first.shape)
    correlation, contrast = local_correlation(first, aligned)
    alike = ((correlation > ALIKE) & (contrast > NOISE) & covered & allowed).astype(np.uint8)
    alike = cv2.morphologyEx(alike, cv2.MORPH_OPEN, _disc(3))
    # Smooth parts hold too little to compare: those among the points, and those that what is alike surrounds, join.
    hull = cv2.convexHull(np.round(points).astype(np.int32))
    alike = cv2.drawContours(alike, [hull], -1, 1, cv2.FILLED)
    alike = _filled(cv2.morphologyEx(alike, cv2.MORPH_CLOSE, _disc(2 * WINDOW + 1)))
    wide = local_correlation(first, aligned, 2 * WINDOW + 1)[0]  # faint structure shows in a wider window only
    judged = np.where(contrast > FAINT, correlation, np.maximum(correlation, wide))
    unlike = (judged < UNLIKE) & (contrast > NOISE) | ~covered | ~allowed
    alike[unlike] = 0
    alike = cv2.morphologyEx(alike, cv2.MORPH_OPEN, _disc(WINDOW))
    _, labels = cv2.connectedComponents(alike)
    columns, rows = np.clip(np.round(points).astype(int), 0, np.array(first.shape[::-1]) - 1).T
    counts = np.bincount(labels[rows, columns], minlength=labels.max() + 1)
    counts[0] = 0
    source = (counts >= max(2, 0.1 * len(points)))[labels]
    if not source.any():
        return None
    copy = _moved(source, transform, second.shape)
    if not copy.any():
        return None
    solid = source & (contrast > NOISE)
    structure = int(np.count_nonzero(solid))
    if not structure:
        return None
    means = cv2.blur(first, (5, 5)), cv2.blur(aligned, (5, 5))
    fine = local_correlation(first - means[0], aligned - means[1], 2 * WINDOW + 1)[0]
    one, two = means[0][solid], means[1][solid]
    return Regions(
        source,
        copy,
        float(correlation[solid].mean()),
        float(fine[solid].mean()),
        structure,
        float(_two_directions(first)[solid].mean()),
        float(two.std() / (one.std() + 1e-6)),
        float(two.mean() - one.mean()),
    )


def promising(first: np.ndarray, second: np.ndarray, transform: np.ndarray, points: np.ndarray) -> bool:
    """Whether the pictures are at all alike about `points`: a quick look before a region is grown."""
    left, top = np.maximum(points.min(0) - 2 * WINDOW, 0).astype(int)
    right, bottom = (points.max(0) + 2 * WINDOW).astype(int)
    part = first[top:bottom, left:right]
    moved = transform.copy()
    moved[:, 2] += transform[:, :2] @ (left, top)
    correlation, _ = local_correlation(part, align(second, moved, part.shape)[0])
    columns, rows = np.clip(np.round(points).astype(int) - (left, top), 0, np.array(part.shape[::-1]) - 1).T
    return bool(correlation[rows, columns].mean() > PROMISING)


def refine(first: np.ndarray, second: np.ndarray, transform: np.ndarray, region: np.ndarray) -> np.ndarray:
    """`transform` moved to where `region` bool[H, W] of the first correlates best with the second: ECC (Evangelidis and
    Psarakis, PAMI 2008). Unchanged where that does not converge nearby.
    """
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    start = transform.copy()
    start[:, 2] += transform[:, :2] @ (left, top)
    try:
        _, moved = cv2.findTransformECCWithMask(
            first[top:bottom, left:right],
            second,
            region[top:bottom, left:right].astype(np.uint8),
            np.ones(second.shape, np.uint8),
            start.astype(np.float32),
            cv2.MOTION_AFFINE,
            (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3),
            3,
        )
    except cv2.error:  # it does not converge
        return transform
    moved = np.asarray(moved, np.float64)
    moved[:, 2] -= moved[:, :2] @ (left, top)
    corners = np.array([[left, top, 1], [right, top, 1], [left, bottom, 1], [right, bottom, 1]], float)
    return moved if np.abs(corners @ (moved - transform).T).max() < MAX_SHIFT else transform


def fill(first: np.ndarray, second: np.ndarray, transform: np.ndarray, found: Regions) -> Regions:
    """`found` with what lies beside it, between its parts and at its rim, where the pictures do not differ.

    Empty ground and masked marks prove nothing, so `grow` leaves them out; within a proven copy they belong to it. A
    window across the rim sees two different pictures, so what is alike ends half a window too early.
    """
    aligned, covered = align(second, transform, first.shape)
    correlation, contrast = local_correlation(first, aligned)
    faint = local_correlation(first, aligned, 2 * WINDOW + 1)[0] > LIKELY
    faint &= cv2.blur(np.abs(first + found.offset - aligned), (WINDOW, WINDOW)) < FAINT
    beside = cv2.morphologyEx((faint & covered | found.source).astype(np.uint8), cv2.MORPH_OPEN, _disc(WINDOW))
    labels = cv2.connectedComponents(beside)[1]
    joined = np.isin(labels, np.unique(labels[found.source & (labels > 0)])) & (labels > 0) | found.source
    rim = cv2.dilate(joined.astype(np.uint8), _disc(WINDOW))
    outline, _ = cv2.findContours(rim, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hull = cv2.drawContours(rim, [cv2.convexHull(np.concatenate(outline))], -1, 1, cv2.FILLED)
    hull[((correlation < UNLIKE) & (contrast > FAINT) | ~covered) & ~found.source] = 0
    source = cv2.morphologyEx(hull, cv2.MORPH_OPEN, _disc(WINDOW)) > 0
    source |= found.source
    return replace(found, source=source, copy=_moved(source, transform, second.shape))


def _moved(mask: np.ndarray, transform: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return cv2.warpAffine(mask.astype(np.uint8), transform, shape[::-1], flags=cv2.INTER_NEAREST) > 0


def _two_directions(picture: np.ndarray) -> np.ndarray:
    """bool[H, W]: where brightness changes along two directions (structure tensor; Harris and Stephens, 1988).

    Along a mere edge any two places look alike: the rim of a disc is a copy of itself at every angle.
    """
    eigen = cv2.cornerEigenValsAndVecs(picture, WINDOW, 3)[..., :2]
    return eigen.min(-1) > 0.1 * eigen.max(-1)


def align(picture: np.ndarray, transform: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """`picture` float32[H, W] seen through `transform`: (float32, bool where it is covered), both of `shape`."""
    scale = np.sqrt(abs(np.linalg.det(transform[:, :2])))
    if scale > 1.1:
        picture = cv2.GaussianBlur(picture, (0, 0), 0.5 * np.sqrt(scale**2 - 1))  # so that nothing aliases
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    aligned = cv2.warpAffine(picture, transform, shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    inside = np.ones(picture.shape, np.uint8)
    return aligned, cv2.warpAffine(inside, transform, shape[::-1], flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP) > 0


def local_correlation(first: np.ndarray, second: np.ndarray, window: int = WINDOW) -> tuple[np.ndarray, np.ndarray]:
    """Normalised correlation of two float32[H, W] in a window about each pixel, -1..1, and float32[H, W], the
    greater of their standard deviations there.
    """

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, cv2.CV_32F, (window, window))

    one, two = mean(first), mean(second)
    variance = np.maximum(mean(first * first) - one * one, 0), np.maximum(mean(second * second) - two * two, 0)
    covariance = mean(first * second) - one * two
    return covariance / (np.sqrt(variance[0] * variance[1]) + 1), np.sqrt(np.maximum(*variance))


def _disc(size: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def _filled(mask: np.ndarray) -> np.ndarray:
    """uint8[H, W] with its holes filled."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return cv2.drawContours(np.zeros_like(mask), contours, -1, 1, cv2.FILLED)
