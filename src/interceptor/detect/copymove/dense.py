"""A dense field of nearest neighbours, for smooth regions that have no keypoints.

After Cozzolino, Poggi and Verdoliva, "Efficient dense-field copy-move forgery detection" (TIFS 2015), written from the
paper: magnitudes of Zernike moments, which rotation and mirroring leave as they are; PatchMatch (Barnes et al., 2009)
that propagates offsets along linear predictions; and the field's departure from a locally linear one. All pixels of
a grid are worked on at once, so an offset travels one grid step an iteration and direction rather than along a scan.
"""

from __future__ import annotations

from math import factorial

import cv2
import numpy as np

from interceptor.detect.copymove.keypoints import Pairs

MAX_PIXELS = 512 * 512
"""The field is sought in a picture of at most this size."""
STEP = 2
"""Every second row and column has an entry in the field."""
PATCH = 31
ORDER = 6
PROJECTIONS = 10
ITERATIONS = 9
JUMPS = (1, 4, 2)
"""Grid steps over which an offset travels, in turn."""
FIT = 4
"""A window of 2 * FIT + 1 entries must agree on one affine map."""
MAX_RESIDUAL = 1.0
"""Pixels (root mean square) by which the entries of a window may depart from their affine map."""
MIN_TEXTURE = 1.0
"""Grey levels (standard deviation within a patch) below which a place has nothing to match."""
MAX_PAIRS = 600


def field_pairs(grey: np.ndarray, wanted: np.ndarray, apart: float, seed: int = 0) -> Pairs:
    """Correspondences of `grey` uint8[H, W] with itself, at least `apart` pixels apart, from where `wanted` bool[H, W].

    The result is the same for the same input and `seed`.
    """
    factor = min(1.0, (MAX_PIXELS / grey.size) ** 0.5)
    size = [max(1, int(side * factor)) for side in grey.shape[::-1]]
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA) if factor < 1 else grey
    zoom = grey.shape[1] / small.shape[1], grey.shape[0] / small.shape[0]
    empty = Pairs(*(np.empty(shape, np.float32) for shape in ((0, 2), (0, 2), (0, 2, 2), 0)))
    if min(small.shape) < 2 * PATCH:
        return empty
    features, deviation = zernike(small)
    rows, columns = _grid(small.shape)
    usable = cv2.resize(wanted.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)[rows, columns]
    margin = np.ones((2 * FIT + 1, 2 * FIT + 1), np.uint8)
    active = cv2.dilate(usable, margin) > 0
    if not active.any():
        return empty
    offsets, distance = patch_match(features, active, apart * factor, np.random.default_rng(seed))
    linear, residual = _affine(offsets)
    usable = usable > 0
    usable &= (residual < MAX_RESIDUAL) & (deviation[rows, columns] > MIN_TEXTURE)
    chosen = np.flatnonzero(usable)
    chosen = chosen[:: max(1, len(chosen) // MAX_PAIRS)]
    source = np.stack([columns, rows], -1).reshape(-1, 2)[chosen]
    target = source + offsets.reshape(-1, 2)[chosen]
    return Pairs(
        ((source + 0.5) * zoom - 0.5).astype(np.float32),
        ((target + 0.5) * zoom - 0.5).astype(np.float32),
        linear.reshape(-1, 2, 2)[chosen].astype(np.float32),
        distance.ravel()[chosen],
    )


def zernike(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Magnitudes of the Zernike moments up to `ORDER` of the disc about each pixel, without the mean and divided by
    the disc's contrast: float32[H, W, 15]; and that contrast, float32[H, W] (standard deviation in grey levels).
    """
    half = PATCH // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1] / (half + 0.5)
    radius, turn = np.hypot(x, y), np.arctan2(y, x)
    disc = radius <= 1
    picture = grey.astype(np.float32)

    def filtered(kernel: np.ndarray, picture: np.ndarray = picture) -> np.ndarray:
        return cv2.filter2D(picture, cv2.CV_32F, kernel.astype(np.float32), borderType=cv2.BORDER_REFLECT)

    mean = filtered(disc / disc.sum())
    deviation = np.sqrt(np.maximum(filtered(disc / disc.sum(), picture * picture) - mean * mean, 0))
    magnitudes = []
    for order in range(1, ORDER + 1):
        for repetition in range(order % 2, order + 1, 2):
            radial = disc * _radial(order, repetition, radius)
            radial = radial - disc * radial.sum() / disc.sum() * (repetition == 0)
            parts = [filtered(radial * wave(repetition * turn)) for wave in (np.cos, np.sin)]
            magnitudes.append(np.hypot(*parts) * np.sqrt(order + 1) / disc.sum())
    return np.stack(magnitudes, -1) / (deviation[..., None] + 1), deviation


def _radial(order: int, repetition: int, radius: np.ndarray) -> np.ndarray:
    """Zernike's radial polynomial."""
    total = np.zeros_like(radius)
    for s in range((order - repetition) // 2 + 1):
        below = factorial(s) * factorial((order + repetition) // 2 - s) * factorial((order - repetition) // 2 - s)
        total += (-1) ** s * factorial(order - s) / below * radius ** (order - 2 * s)
    return total


def patch_match(
    features: np.ndarray, active: np.ndarray, apart: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """For the grid points `active` bool[h, w] the offset (x, y) to the place at least `apart` pixels away whose
    features are nearest: int32[h, w, 2], and the distance of the features, float32[h, w]; 0 and infinite elsewhere.
    """
    height, width = features.shape[:2]
    rows, columns = _grid((height, width))
    here = np.stack([columns, rows], -1)[active]
    own = features[rows, columns][active]
    limit = np.array([width - 1, height - 1])
    offsets = np.zeros((*rows.shape, 2), int)
    distance = np.full(rows.shape, np.inf, np.float32)

    def attempt(candidates: np.ndarray) -> None:
        target = np.clip(here + candidates, 0, limit)
        candidates = target - here
        reached = features[target[:, 1], target[:, 0]]
        cost = np.square(reached - own).sum(-1)
        known = distance[active]
        better = (cost < known) & (np.square(candidates).sum(-1) >= apart**2)
        offsets[active] = np.where(better[:, None], candidates, offsets[active])
        distance[active] = np.where(better, cost, known)

    # Chance alone would rarely hit: places that come next to each other when sorted by a projection are alike.
    for _ in range(PROJECTIONS):
        order = np.argsort(own @ (rng.normal(size=own.shape[1]) / (own.std(0) + 1e-6)), kind="stable")
        for step in (1, -1, 2, -2):
            target = np.empty_like(here)
            target[order] = here[np.roll(order, step)]
            attempt(target - here)
    for iteration in range(ITERATIONS):
        jump = JUMPS[iteration % len(JUMPS)]
        for axis in (0, 1):
            for side in (jump, -jump):
                near, far = np.roll(offsets, side, axis), np.roll(offsets, 2 * side, axis)
                attempt(near[active])
                attempt((2 * near - far)[active])  # where the copy is turned or scaled, offsets grow evenly
        for reach in (1, 1, 8):
            attempt(offsets[active] + rng.integers(-reach, reach + 1, here.shape))
    return offsets.astype(np.int32), distance


def _affine(offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least-squares affine map of the window about each grid point: its linear part float[h, w, 2, 2], and the
    root mean square of what it leaves, in pixels.
    """
    window = 2 * FIT + 1
    values = (
        cv2.medianBlur(offsets.astype(np.float32)[..., 0], 5),
        cv2.medianBlur(offsets.astype(np.float32)[..., 1], 5),
    )
    ramp = np.arange(-FIT, FIT + 1, dtype=np.float32)
    flat, spread = np.ones(window, np.float32) / window, ramp / np.sum(ramp**2)
    slopes, left = [], np.zeros(offsets.shape[:2], np.float32)
    for value in values:
        mean = cv2.sepFilter2D(value, cv2.CV_32F, flat, flat)
        along = [cv2.sepFilter2D(value, cv2.CV_32F, *kernels) for kernels in ((spread, flat), (flat, spread))]
        variance = cv2.sepFilter2D(value * value, cv2.CV_32F, flat, flat) - mean * mean
        left += np.maximum(variance - (along[0] ** 2 + along[1] ** 2) * np.mean(ramp**2), 0)
        slopes.append(np.stack(along, -1) / STEP)
    return np.stack(slopes, -2) + np.eye(2, dtype=np.float32), np.sqrt(left)


def _grid(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[: shape[0] : STEP, : shape[1] : STEP]
    return rows, columns
