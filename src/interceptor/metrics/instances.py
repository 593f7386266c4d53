"""The measure of the Recod.ai/LUC contest (Scientific Image Forgery Detection, 2025): oF1, over instances.

A picture's truth and prediction are stacks of masks, bool[n, H, W], one plane an instance: a copied region *and* all
its copies. Planes without a pixel do not count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interceptor.metrics.classification import Floats


def of1(truth: ArrayLike, found: ArrayLike) -> float:
    """oF1 of one picture, 0..1; the contest's score is its mean over pictures.

    1 where both are without instances (authentic), 0 where exactly one is. Else the F1 of every true with every found
    instance, the assignment one to one with the largest sum (Kuhn, 1955), and that sum over max(n_true, n_found).

    Raises `ValueError` for other than two boolean stacks [n, H, W] of one picture's size.
    """
    true_planes, found_planes = _planes(truth), _planes(found)
    if true_planes.shape[1:] != found_planes.shape[1:]:
        raise ValueError(f"instances of {true_planes.shape[1:]} and {found_planes.shape[1:]} pixels: not one picture")
    true_planes, found_planes = (planes[planes.any((1, 2))] for planes in (true_planes, found_planes))
    if not len(true_planes) or not len(found_planes):
        return float(len(true_planes) == len(found_planes))
    scores = f1_matrix(true_planes, found_planes)
    matched = sum(scores[row, column] for row, column in assignment(scores))
    return float(matched / max(scores.shape))


def f1_matrix(truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> Floats:
    """float64[n, m]: the pixel F1 of each of n with each of m instances, none of them empty."""
    flat = found.reshape(len(found), -1)
    both = np.array([np.count_nonzero(flat[:, plane.ravel()], axis=1) for plane in truth])
    sizes = np.count_nonzero(truth, axis=(1, 2))[:, None] + np.count_nonzero(found, axis=(1, 2))
    return 2 * both / sizes


def assignment(gains: ArrayLike) -> list[tuple[int, int]]:
    """The pairs (row, column) of a matrix float[n, m], min(n, m) of them, whose sum of gains is largest.

    Exact, by shortest augmenting paths with potentials (Jonker & Volgenant, Computing 1987), one row at a time. It
    stands here because SciPy's would be the core's only use of SciPy.
    """
    matrix = np.asarray(gains, np.float64)
    if matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise ValueError(f"an assignment needs a finite matrix, not {matrix.shape}")
    if matrix.shape[0] > matrix.shape[1]:
        return sorted((row, column) for column, row in assignment(matrix.T))
    n, m = matrix.shape
    row_price, column_price = np.zeros(n), np.zeros(m)
    owner = np.full(m, -1)  # the row that has each column
    for start in range(n):
        distance, reached_from, done = np.full(m, np.inf), np.full(m, -1), np.zeros(m, bool)
        row, column, length = start, -1, 0.0
        while row >= 0:  # until a column without an owner is nearest
            step = length - matrix[row] - row_price[row] - column_price
            nearer = ~done & (step < distance)
            distance[nearer], reached_from[nearer] = step[nearer], column
            column = int(np.argmin(np.where(done, np.inf, distance)))
            length = distance[column]
            done[column] = True
            row = owner[column]
        paid = done.copy()
        paid[column] = False
        row_price[start] += length
        row_price[owner[paid]] += length - distance[paid]
        column_price[paid] -= length - distance[paid]
        while column >= 0:  # give each column on the path to the row before it
            before = reached_from[column]
            owner[column] = start if before < 0 else owner[before]
            column = before
    return sorted((int(owner[column]), int(column)) for column in np.flatnonzero(owner >= 0))


def _planes(masks: ArrayLike) -> NDArray[np.bool_]:
    planes = np.asarray(masks)
    if planes.ndim != 3 or planes.dtype != np.bool_:
        raise ValueError(f"instances must be booleans [n, H, W], not {planes.dtype} {planes.shape}")
    return planes
