"""From correspondences to transforms: clusters of those that agree, and an affine model by MAGSAC++ (Barath et al.,
CVPR 2020; OpenCV's `USAC_MAGSAC`) for each, or a similarity where they are few, until none is left.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from interceptor.detect.copymove.keypoints import Pairs

MIN_INLIERS = 3
"""Distinct correspondences that a model must explain; one fewer determines a similarity exactly."""
AFFINE = 6
"""Distinct correspondences from which a model may also shear and stretch."""
MAX_PAIRS = 3000
MAX_MODELS = 30
TOLERANCE = 3.0
"""Pixels by which a correspondence may miss its model."""
LOOSE = 0.12
"""A single keypoint's size and angle are rough: near it, others may miss its model by this share of their distance."""
REACH = 0.25
"""How far from a keypoint others may support it, as a share of the picture's longer side."""
MAX_TURN = np.cos(np.radians(20))
MAX_RESCALE = np.log(1.35)
SCALES = (0.4, 2.5)


def models(pairs: Pairs, side: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields transforms float64[2, 3] and the sources float32[n, 2] of their inliers, best supported first.

    `side` is the picture's longer side in pixels. Where a picture is matched against itself, every model appears once,
    in one of its two directions.
    """
    left = pairs.take(np.sort(np.argsort(pairs.distance, kind="stable")[:MAX_PAIRS]))
    agree = _agreement(left, REACH * side)
    weight = 1 / np.maximum(_crowd(left), 1)  # several keypoints of one place count as one
    alive = np.ones(len(left), bool)
    for _ in range(MAX_MODELS):
        support = (agree[:, alive] @ weight[alive]) * alive
        if not len(support) or support.max() < MIN_INLIERS - 0.01:
            return
        members = agree[support.argmax()] & alive
        alive[members] = False
        flipped = np.linalg.det(left.linear[support.argmax()]) < 0
        transform = _fit(left.source[members], left.target[members], flipped)
        if transform is None:
            continue
        misses = np.linalg.norm(left.source @ transform[:, :2].T + transform[:, 2] - left.target, axis=1)
        inliers = (misses < TOLERANCE) & (_same_sense(left.linear, transform))
        refined = _fit(left.source[inliers], left.target[inliers], flipped)
        if refined is None:
            continue
        transform = refined
        back = cv2.invertAffineTransform(transform)
        for one in (transform, back):
            explained = np.linalg.norm(left.source @ one[:, :2].T + one[:, 2] - left.target, axis=1) < 2 * TOLERANCE
            alive &= ~explained
        sources = np.unique(np.round(left.source[inliers]), axis=0)
        if len(sources) >= MIN_INLIERS:
            yield transform, sources


def _agreement(pairs: Pairs, reach: float) -> np.ndarray:
    """bool[n, n]: whether the second correspondence fits the first one's own transform."""
    agree = np.zeros((len(pairs), len(pairs)), bool)
    determinant = np.linalg.det(pairs.linear)
    size = np.log(np.maximum(np.abs(determinant), 1e-9)) / 2
    unit = (pairs.linear / np.exp(size)[:, None, None]).reshape(-1, 4)
    sane = (np.exp(size) > SCALES[0]) & (np.exp(size) < SCALES[1])
    (x, y), (u, v) = pairs.source.T.copy(), pairs.target.T.copy()
    for i in np.flatnonzero(sane):
        alike = (np.abs(size - size[i]) < MAX_RESCALE) & (determinant * determinant[i] > 0)
        alike &= unit @ unit[i] > 2 * MAX_TURN  # twice the cosine of the angle between, where both or none are flipped
        near = np.flatnonzero(alike)
        right, down = x[near] - x[i], y[near] - y[i]
        distance = np.hypot(right, down)
        (a, b), (c, d) = pairs.linear[i]
        miss = np.hypot(a * right + b * down + u[i] - u[near], c * right + d * down + v[i] - v[near])
        agree[i, near] = (miss < TOLERANCE + LOOSE * distance) & (distance < reach)
    return agree


def _crowd(pairs: Pairs) -> np.ndarray:
    """How many correspondences start at (about) the same place and end at the same place, mirrored or not alike."""
    flipped = np.linalg.det(pairs.linear)[:, None] < 0
    places = np.hstack([np.round(np.hstack([pairs.source, pairs.target]) / 2), flipped])
    _, inverse, counts = np.unique(places, axis=0, return_inverse=True, return_counts=True)
    return counts[inverse.ravel()]


def _fit(source: np.ndarray, target: np.ndarray, flipped: bool) -> np.ndarray | None:
    """A similarity or an affine map float64[2, 3], or None where the points determine no sane one."""
    distinct = len(np.unique(np.round(source), axis=0))
    if distinct < MIN_INLIERS:
        return None
    if distinct < AFFINE:
        mirror = np.array([-1 if flipped else 1, 1], np.float32)
        transform, inliers = cv2.estimateAffinePartial2D(source * mirror, target, ransacReprojThreshold=TOLERANCE)
        if transform is not None:
            transform[:, :2] *= mirror
    else:
        transform, inliers = cv2.estimateAffine2D(
            source, target, method=cv2.USAC_MAGSAC, ransacReprojThreshold=TOLERANCE, maxIters=2000, confidence=0.999
        )
    if transform is None or not np.isfinite(transform).all() or inliers.sum() < MIN_INLIERS:
        return None
    stretch = np.linalg.svd(transform[:, :2], compute_uv=False)
    if stretch[1] < SCALES[0] or stretch[0] > SCALES[1] or stretch[0] > 1.5 * stretch[1]:
        return None  # a copy is turned, scaled and mirrored, not squeezed to a line
    return np.asarray(transform, np.float64)


def _same_sense(linear: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """bool[n]: whether each correspondence's own estimate turns and mirrors as the model does."""
    determinant = np.linalg.det(transform[:, :2])
    own = np.linalg.det(linear)
    turn = np.einsum("jk,njk->n", transform[:, :2], linear) / 2 / np.sqrt(np.abs(determinant * own) + 1e-12)
    return (own * determinant > 0) & (turn > np.cos(np.radians(30)))
