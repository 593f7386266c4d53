"""Measures of a localisation: where a picture was altered, pixel by pixel.

Shared conventions:

- `truth` is bool[H, W], True = forged; `called` is bool[H, W], what a method calls forged; `probability` is
  float[H, W], 0..1, at the same size. A pixel is called where its probability is **at or above** 0.5 (`THRESHOLD`).
- Measures of overlap are those of one forged picture at its native size; means over pictures are the caller's. Never is
  the better of a mask and its inverse taken.
- What a measure cannot be computed from (nothing forged, nothing but forged, other sizes, NaN) is a `ValueError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interceptor.metrics.classification import ECE_BINS, Floats, average_precision, roc_auc

Mask = NDArray[np.bool_]

THRESHOLD = 0.5


class Overlap(NamedTuple):
    """How well the called pixels of one forged picture cover the forged ones, each 0..1."""

    f1: float
    """2 TP / (2 TP + FP + FN), also known as Dice."""
    iou: float
    precision: float
    """0 where nothing is called."""
    recall: float


def overlap(truth: ArrayLike, called: ArrayLike) -> Overlap:
    """Of bool[H, W] masks. Raises `ValueError` where nothing is forged: every prediction would be as good."""
    forged, found = np.asarray(truth), np.asarray(called)
    if forged.dtype != np.bool_ or found.dtype != np.bool_:
        raise ValueError(f"masks must be of booleans, not {forged.dtype} and {found.dtype}")
    _check_sizes(forged, found)
    if not (n_forged := np.count_nonzero(forged)):
        raise ValueError("nothing is forged in this picture: its overlap is not defined")
    n_found, both = np.count_nonzero(found), np.count_nonzero(forged & found)
    return Overlap(
        f1=2 * both / (n_forged + n_found),
        iou=both / (n_forged + n_found - both),
        precision=both / n_found if n_found else 0.0,
        recall=both / n_forged,
    )


def pixel_ranking(truth: ArrayLike, probability: ArrayLike) -> tuple[float, float]:
    """Average precision and area under the ROC curve over one picture's pixels, as `metrics.classification` has them.

    Raises `ValueError` where all pixels are forged or none is.
    """
    labels, scores, counts = _distinct(*_checked(truth, probability))
    return average_precision(labels, scores, counts), roc_auc(labels, scores, counts)


def calibration_gaps(truth: ArrayLike, probability: ArrayLike, bins: int = ECE_BINS) -> Floats:
    """float64[bins]: per bin of probability, the sum over its pixels of (forged - probability), over all pixels.

    The sum of their absolute values is the picture's expected calibration error; averaged over pictures first, it is
    that of a set in which each picture counts the same (see `mean_calibration_error`). Bins as in
    `classification.expected_calibration_error`.
    """
    forged, values = _checked(truth, probability)
    flat = values.ravel()
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], flat, side="right")
    return np.bincount(place, weights=forged.ravel() - flat, minlength=bins) / flat.size


def mean_calibration_error(gaps: Sequence[Floats]) -> float:
    """Expected calibration error over the pixels of several pictures, each picture counting the same, 0..1."""
    if not len(gaps):
        raise ValueError("no pictures: nothing to measure")
    return float(np.abs(np.mean(gaps, axis=0)).sum())


def by_area_quartile(areas: ArrayLike, values: Mapping[str, ArrayLike]) -> list[dict[str, Any]]:
    """Means of `values` (each float[n]) within quarters of the pictures, from the smallest forged area to the largest.

    `areas` float[n] is each picture's forged share, 0..1. Four entries, `area` [from, to], `n` and the means; of equal
    areas the earlier picture comes first. With fewer than four pictures there are fewer entries.
    """
    shares = np.asarray(areas, np.float64)
    parts = [part for part in np.array_split(np.argsort(shares, kind="stable"), 4) if part.size]
    return [
        {
            "area": [float(shares[part[0]]), float(shares[part[-1]])],
            "n": len(part),
            **{name: float(np.asarray(column)[part].mean()) for name, column in values.items()},
        }
        for part in parts
    ]


def _check_sizes(first: NDArray[Any], second: NDArray[Any]) -> None:
    if first.ndim != 2 or first.shape != second.shape or first.size == 0:
        raise ValueError(f"masks {first.shape} and {second.shape} must be pictures of one size")


def _checked(truth: ArrayLike, probability: ArrayLike) -> tuple[Mask, NDArray[np.floating[Any]]]:
    """Both as arrays of one size, the first boolean, the second finite and within 0..1."""
    forged, values = np.asarray(truth), np.asarray(probability)
    if forged.dtype != np.bool_ or values.dtype.kind != "f":
        raise ValueError(f"needs booleans and probabilities, not {forged.dtype} and {values.dtype}")
    _check_sizes(forged, values)
    if not (values.min() >= 0 and values.max() <= 1):  # so written that NaN fails
        raise ValueError(f"probabilities must lie in 0..1, not {values.min():g}..{values.max():g}")
    return forged, values


def _distinct(forged: Mask, values: NDArray[np.floating[Any]]) -> tuple[Mask, Floats, Floats]:
    """Labels, scores and counts of the pixels, those of one class and probability taken together.

    A picture has millions of pixels but often few distinct probabilities, so that ranking these is quick.
    """
    rows = [np.unique(values[chosen], return_counts=True) for chosen in (forged, ~forged)]
    labels = np.repeat([True, False], [len(scores) for scores, _ in rows])
    scores, counts = (np.concatenate(parts).astype(np.float64) for parts in zip(*rows, strict=True))
    return labels, scores, counts
