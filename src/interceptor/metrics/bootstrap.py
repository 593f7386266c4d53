"""Bootstrap intervals of measures, and the paired comparison of two detectors on the same items.

Items are drawn again with replacement within their class (stratified), 1,000 times, and the middle 95 % of the
measure's values is its interval (percentile method: Efron & Tibshirani 1993). Items that belong together, such as the
crops of one clip, are drawn together when `clusters` names them; else the interval would be too narrow. A draw is a
row of counts, one for each item, so that all draws are measured at once as weightings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interceptor.metrics.classification import (
    DEFINED_ON_ONE_CLASS,
    PROBABILITY_MEASURES,
    RANK_MEASURES,
    Floats,
    Measure,
    checked,
)

DRAWS = 1000
LEVEL = 0.95
CHUNK = 2_000_000
"""Counts held at once: 16 MB, times a handful of intermediates."""


class Interval(NamedTuple):
    low: float
    high: float


class Difference(NamedTuple):
    """How much higher a measure is for the first of two score lists than for the second, on the same items."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided: twice the share of draws on the other side of zero, at least 2 / (draws + 1)."""


class Figures(NamedTuple):
    """All measures of one set of items.

    None stands for a measure that one class alone does not define; `notes` says why.
    """

    values: dict[str, float | None]
    intervals: dict[str, Interval | None]
    notes: list[str]

    def as_dict(self) -> dict[str, Any]:
        """`{name: value, ..., "intervals": {name: [low, high]}, "notes": [...]}`, ready for JSON."""
        intervals = {name: None if bounds is None else list(bounds) for name, bounds in self.intervals.items()}
        return {**self.values, "intervals": intervals, "notes": self.notes}


def bootstrap_intervals(
    measures: Mapping[str, Measure],
    labels: ArrayLike,
    values: ArrayLike,
    *,
    clusters: Sequence[Any] | None = None,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Interval]:
    """The interval of each measure (see `RANK_MEASURES`, `PROBABILITY_MEASURES`) on labels [n] and values [n].

    `clusters` [n] names what is drawn together: any hashable values. Raises `ValueError` as the measures do.
    """
    truth, numbers = checked(labels, values)
    parts: dict[str, list[Floats]] = {name: [] for name in measures}
    for counts in _resampled(truth, clusters, draws, seed):
        for name, measure in measures.items():
            parts[name].append(measure(truth, numbers, counts))
    return {name: _middle(np.concatenate(part), level) for name, part in parts.items()}


def paired_difference(
    measure: Measure,
    labels: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    *,
    clusters: Sequence[Any] | None = None,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Difference:
    """`measure` of `first` less that of `second`, both [n]; each draw takes the same items for both."""
    truth, one = checked(labels, first)
    _, two = checked(labels, second)
    ones = np.ones((1, truth.size))
    value = float((measure(truth, one, ones) - measure(truth, two, ones))[0])
    drawn = np.concatenate(
        [measure(truth, one, w) - measure(truth, two, w) for w in _resampled(truth, clusters, draws, seed)]
    )
    opposite = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    return Difference(value, *_middle(drawn, level), p=min(1.0, 2 * (opposite + 1) / (draws + 1)))


def share_interval(count: int, n: int, level: float = LEVEL) -> Interval:
    """The interval of a share, `count` of `n` > 0 (Wilson 1927): unlike a bootstrap, it is not a point at 0 of n."""
    if not 0 <= count <= n or n == 0:
        raise ValueError(f"{count} of {n} is not a share")
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    share = count / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = (z2 * (share * (1 - share) / n + z2 / (4 * n * n))) ** 0.5 / (1 + z2 / n)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def figures(
    labels: ArrayLike,
    scores: ArrayLike,
    probabilities: ArrayLike,
    *,
    clusters: Sequence[Any] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Figures:
    """Every measure of `RANK_MEASURES` (on scores) and `PROBABILITY_MEASURES` (on probabilities), with its interval.

    All three lists are [n]. With one class only, the measures that need both are None and a note says so.
    """
    truth, _ = checked(labels, scores)
    both = bool(truth.any() and not truth.all())
    values: dict[str, float | None] = {}
    intervals: dict[str, Interval | None] = {}
    notes: list[str] = []
    for measures, numbers in ((RANK_MEASURES, scores), (PROBABILITY_MEASURES, probabilities)):
        _, given = checked(truth, numbers)
        defined = measures if both else {name: m for name, m in measures.items() if name in DEFINED_ON_ONE_CLASS}
        values |= dict.fromkeys(measures)
        intervals |= dict.fromkeys(measures)
        values |= {name: float(m(truth, given, np.ones((1, truth.size)))[0]) for name, m in defined.items()}
        intervals |= bootstrap_intervals(defined, truth, given, clusters=clusters, draws=draws, seed=seed)
    if not both:
        missing = ", ".join(name for name, value in values.items() if value is None)
        notes.append(f"only {'forged' if truth.all() else 'authentic'} items were scored; undefined there: {missing}")
    return Figures(values, intervals, notes)


def _middle(values: Floats, level: float) -> Interval:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def _resampled(truth: NDArray[np.bool_], clusters: Sequence[Any] | None, draws: int, seed: int) -> Iterator[Floats]:
    """How often each item is drawn, float64[up to CHUNK / n, n] at a time, `draws` rows in all.

    Clusters are drawn within one of three strata: all forged, all authentic, or both; so each draw has both classes
    wherever the items do.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, not {draws}")
    if clusters is None:
        of_item, m = np.arange(truth.size), truth.size
    else:
        if len(clusters) != truth.size:
            raise ValueError(f"{len(clusters)} clusters named for {truth.size} items")
        number = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
        of_item, m = np.array([number[name] for name in clusters]), len(number)
    share = np.bincount(of_item, weights=truth, minlength=m) / np.bincount(of_item, minlength=m)
    strata = [np.flatnonzero(chosen) for chosen in (share == 1, share == 0, (share > 0) & (share < 1))]
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK // truth.size)
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        counts = np.zeros((rows, m))
        for members in strata:
            if size := len(members):
                flat = rng.integers(size, size=(rows, size)) + size * np.arange(rows)[:, None]
                counts[:, members] = np.bincount(flat.ravel(), minlength=rows * size).reshape(rows, size)
        yield counts[:, of_item]
