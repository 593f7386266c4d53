"""Measures of a two-class detector, as pure functions over arrays; label 1 = forged.

Shared conventions:

- `labels` is bool or int[n] holding 0 and 1; `scores` and `probabilities` are finite float[n]; a higher one leans
  forged.
- An item counts as forged when its score is **at or above** a threshold; items of equal score are never told apart.
- `weights`, float[n] >= 0, says how much each item counts; left out, each counts once.
- What a measure cannot be computed from (no item, one class, NaN) is a `ValueError` that says so, never a NaN.

`RANK_MEASURES` and `PROBABILITY_MEASURES` hold the same measures for many weightings at once, which makes resampling
fast.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

Measure = Callable[[NDArray[np.bool_], Floats, Floats], Floats]
"""labels bool[n], scores or probabilities float64[n], weights float64[d, n] -> float64[d], one value a weighting."""

ECE_BINS = 15


def checked(labels: ArrayLike, values: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    """`labels` as bool[n] and `values` as float64[n]; `ValueError` if they do not fit together or hold other things."""
    truth, numbers = np.asarray(labels), np.asarray(values, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != numbers.shape:
        raise ValueError(f"labels {truth.shape} and scores {numbers.shape} must be two lists of one length")
    if truth.size == 0:
        raise ValueError("no items: nothing to measure")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError("labels must be 0 (authentic) or 1 (forged)")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(numbers))} of {numbers.size} scores are not finite numbers")
    return truth.astype(bool), numbers


def roc_auc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Area under the ROC curve: the chance that a forged item scores above an authentic one, ties counting half."""
    return _single(_roc_auc, labels, scores, weights)


def average_precision(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Sum over falling thresholds of precision x gain in recall; no interpolation (as scikit-learn has it)."""
    return _single(_average_precision, labels, scores, weights)


def equal_error_rate(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> tuple[float, float]:
    """`(rate, threshold)` where the ROC curve, drawn with straight lines, has as many false alarms as misses.

    The threshold lies between two scores, at the same share of the way as the rate does between their two points.
    Where the first point is the curve's corner (nothing called forged), it is the highest score.
    """
    truth, values = checked(labels, scores)
    rate, threshold = _equal_error(truth, values, checked_weights(truth, weights)[None])
    return float(rate[0]), float(threshold[0])


def tpr_at_fpr(labels: ArrayLike, scores: ArrayLike, fpr: float, weights: ArrayLike | None = None) -> float:
    """The largest share of forged items found by any threshold whose false-alarm rate is **at most** `fpr` (0..1).

    The ROC curve is taken as steps, not interpolated: the value is one that a threshold on these very items reaches.
    It is 0 where every usable threshold flags too many authentic items.
    """
    if not 0 <= fpr <= 1:
        raise ValueError(f"fpr must lie in 0..1, not {fpr}")
    return _single(partial(_tpr_at_fpr, fpr=fpr), labels, scores, weights)


def balanced_accuracy(
    labels: ArrayLike, probabilities: ArrayLike, threshold: float = 0.5, weights: ArrayLike | None = None
) -> float:
    """Mean of the share of forged items at or above `threshold` and the share of authentic items below it."""
    return _single(partial(_balanced_accuracy, threshold=threshold), labels, probabilities, weights)


def expected_calibration_error(
    labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None, bins: int = ECE_BINS
) -> float:
    """Mean over items of |share of forged - mean probability| in the item's bin (Naeini et al. 2015; Guo et al. 2017).

    Bins are of equal width over the probability of forgery, each with its lower edge; the last one has both. Defined
    on one class as well.
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, not {bins}")
    return _single(partial(_calibration_error, bins=bins), labels, probabilities, weights)


def brier(labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Mean squared difference of probability and label (Brier 1950), 0..1. Defined on one class as well."""
    return _single(_brier, labels, probabilities, weights)


def log_loss(labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Mean of -ln(probability given to the true class), in nats; probabilities kept 2.2e-16 from 0 and 1.

    Defined on one class as well.
    """
    return _single(_log_loss, labels, probabilities, weights)


def _single(measure: Measure, labels: ArrayLike, values: ArrayLike, weights: ArrayLike | None) -> float:
    truth, numbers = checked(labels, values)
    return float(measure(truth, numbers, checked_weights(truth, weights)[None])[0])


def checked_weights(truth: NDArray[np.bool_], weights: ArrayLike | None) -> Floats:
    """`weights` as float64[n], ones where there are none; `ValueError` if malformed or all zero."""
    row = np.ones(truth.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if row.shape != truth.shape:
        raise ValueError(f"weights {row.shape} must be one for each of {truth.size} items")
    if not np.isfinite(row).all() or (row < 0).any() or row.sum() <= 0:
        raise ValueError("weights must be finite, not negative, and not all zero")
    return row


def _need_both(forged: Floats, authentic: Floats) -> None:
    """Raise `ValueError` if a class has no weight; both are float64[d], the classes' sums of weights."""
    for name, weight in (("forged", forged), ("authentic", authentic)):
        if weight.min() <= 0:
            raise ValueError(f"no {name} items: this measure needs both classes")


def _roc(truth: NDArray[np.bool_], scores: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Weights of forged and of authentic items at or above each distinct score, highest first, float64[d, k + 1]; the
    scores.

    The first column is zero: a threshold above all scores.
    """
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    starts = np.flatnonzero(np.r_[True, descending[1:] < descending[:-1]])

    def counted(of: NDArray[np.bool_]) -> Floats:
        sums = np.add.reduceat(weights[:, order] * of[order], starts, axis=1)
        return np.pad(np.cumsum(sums, axis=1), ((0, 0), (1, 0)))

    found, flagged = counted(truth), counted(~truth)
    _need_both(found[:, -1], flagged[:, -1])
    return found, flagged, descending[starts]


def _rates(truth: NDArray[np.bool_], scores: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """True and false positive rates, float64[d, k + 1], and the k distinct scores, highest first."""
    found, flagged, distinct = _roc(truth, scores, weights)
    return found / found[:, -1:], flagged / flagged[:, -1:], distinct


def _roc_auc(truth: NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
    tpr, fpr, _ = _rates(truth, scores, weights)
    return (np.diff(fpr, axis=1) * (tpr[:, 1:] + tpr[:, :-1])).sum(axis=1) / 2


def _average_precision(truth: NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
    found, flagged, _ = _roc(truth, scores, weights)
    called = found + flagged
    precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
    return (np.diff(found, axis=1) * precision[:, 1:]).sum(axis=1) / found[:, -1]


def _equal_error(truth: NDArray[np.bool_], scores: Floats, weights: Floats) -> tuple[Floats, Floats]:
    tpr, fpr, distinct = _rates(truth, scores, weights)
    balance = fpr + tpr - 1  # false alarms less misses: rises from -1 to 1
    row = np.arange(len(weights))
    after = np.argmax(balance >= 0, axis=1)
    before = after - 1
    share = -balance[row, before] / (balance[row, after] - balance[row, before])
    rate = fpr[row, before] + share * (fpr[row, after] - fpr[row, before])
    upper = distinct[np.maximum(before - 1, 0)]
    return rate, upper + share * (distinct[after - 1] - upper)


def _equal_error_rate(truth: NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
    return _equal_error(truth, scores, weights)[0]


def _tpr_at_fpr(truth: NDArray[np.bool_], scores: Floats, weights: Floats, *, fpr: float) -> Floats:
    reached, false_alarms, _ = _rates(truth, scores, weights)
    return np.where(false_alarms <= fpr, reached, 0.0).max(axis=1)


def _balanced_accuracy(
    truth: NDArray[np.bool_], probabilities: Floats, weights: Floats, *, threshold: float = 0.5
) -> Floats:
    called = _as_probabilities(probabilities) >= threshold
    forged, authentic = weights @ truth, weights @ ~truth
    _need_both(forged, authentic)
    return (weights @ (truth & called) / forged + weights @ (~truth & ~called) / authentic) / 2


def _calibration_error(
    truth: NDArray[np.bool_], probabilities: Floats, weights: Floats, *, bins: int = ECE_BINS
) -> Floats:
    inner_edges = np.linspace(0, 1, bins + 1)[1:-1]
    place = np.searchsorted(inner_edges, _as_probabilities(probabilities), side="right")
    member = place[:, None] == np.arange(bins)
    gap = weights @ (member * (truth - probabilities)[:, None])
    return np.abs(gap).sum(axis=1) / weights.sum(axis=1)


def _brier(truth: NDArray[np.bool_], probabilities: Floats, weights: Floats) -> Floats:
    return weights @ (_as_probabilities(probabilities) - truth) ** 2 / weights.sum(axis=1)


def _log_loss(truth: NDArray[np.bool_], probabilities: Floats, weights: Floats) -> Floats:
    smallest = np.finfo(np.float64).eps
    kept = np.clip(_as_probabilities(probabilities), smallest, 1 - smallest)
    return weights @ -np.where(truth, np.log(kept), np.log1p(-kept)) / weights.sum(axis=1)


def _as_probabilities(values: Floats) -> Floats:
    if values.min() < 0 or values.max() > 1:
        raise ValueError(f"probabilities must lie in 0..1, not {values.min():g}..{values.max():g}")
    return values


RANK_MEASURES: dict[str, Measure] = {
    "auc": _roc_auc,
    "ap": _average_precision,
    "eer": _equal_error_rate,
    "tpr_at_fpr_05": partial(_tpr_at_fpr, fpr=0.05),
}
"""By name: measures of any score; only its order counts. They need both classes."""

PROBABILITY_MEASURES: dict[str, Measure] = {
    "balanced_accuracy": _balanced_accuracy,
    "ece": _calibration_error,
    "brier": _brier,
    "log_loss": _log_loss,
}
"""By name: measures of a calibrated probability. `balanced_accuracy`, at 0.5, needs both classes."""

DEFINED_ON_ONE_CLASS = frozenset({"ece", "brier", "log_loss"})
