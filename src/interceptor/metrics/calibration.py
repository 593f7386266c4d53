"""What a raw score (logit) means: its probability, by Platt scaling, and the thresholds that keep a stated error rate.

A file is called forged at or above one threshold, which at most a stated share of authentic files may reach (false
alarms), and authentic at or below another, which at most a stated share of forged files may fall to (misses). The
second is the first mirrored: `side` says which is meant. Thresholds set on one source of files do not hold on
another, so they are set on many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from interceptor.metrics.classification import Floats, checked, checked_weights

ITERATIONS = 100
SMALLEST_STEP = 1e-10
GRADIENT = 1e-8
"""Both sums of the gradient, per item, are below this when the fit has converged."""

Side = Literal["forged", "authentic"]
"""The verdict that a threshold is for."""

RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3)


class Platt(NamedTuple):
    """Probability of forgery = sigmoid(slope * logit + offset).

    A slope at or below 0: the logits do not point to forgeries.
    """

    slope: float
    offset: float

    def apply(self, logits: ArrayLike) -> Floats:
        """Probabilities float64, 0..1, of the shape of `logits`."""
        return _sigmoid(self.slope * np.asarray(logits, dtype=np.float64) + self.offset)


class Threshold(NamedTuple):
    logit: float
    n: int
    """Scores that it rests on."""
    supported: bool
    """False where n is too small for the stated rate; the logit is then just beyond all scores."""


@dataclass(frozen=True)
class SourceRate:
    """What a threshold does on the files of one source."""

    n: int
    rate: float
    """Share of its files on the wrong side of the chosen threshold, 0..1."""
    threshold_without: float | None
    """The threshold (logit) chosen from all other sources; None where there is no other."""
    rate_without: float | None
    """Share of its files on the wrong side of that one: the honest estimate for a source never seen."""


@dataclass(frozen=True)
class AcrossSources:
    """A threshold (logit) set on several sources; `dataclasses.asdict` gives what a model card stores."""

    side: Side
    stated_rate: float
    threshold: float
    supported: bool
    """False where all sources together have fewer than 1 / stated_rate - 1 files."""
    sources: dict[str, SourceRate]
    worst_source: str | None
    """The source with the highest `rate_without`, and that rate; None for a single source."""
    worst_rate: float | None


@dataclass(frozen=True)
class RiskCurve:
    """Thresholds (logits) by stated rate; `asdict` and `RiskCurve(**stored)` take it to a model card and back."""

    rates: Sequence[float]
    """Rising."""
    thresholds: Sequence[float]
    """Falling for `side="forged"`, rising for `"authentic"`; equal neighbours are possible."""
    smallest_supported_rate: float
    """1 / (files + 1): what is stated below this, the files cannot show."""
    side: Side = "forged"

    def interpolate(self, rate: float) -> float:
        """The threshold for `rate`: on a straight line in log(rate) between neighbours; exact at the stored rates.

        Raises `ValueError` outside the stored rates.
        """
        if not self.rates[0] <= rate <= self.rates[-1]:
            raise ValueError(f"no threshold is known for a rate of {rate}: choose {self.rates[0]} to {self.rates[-1]}")
        return float(np.interp(np.log(rate), np.log(self.rates), self.thresholds))


def fit_platt(logits: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> Platt:
    """Fit the sigmoid on logits float[n], labels [n] (1 = forged) and optional weights float[n] >= 0.

    Platt 1999 with its smoothed targets (N1 + 1) / (N1 + 2) and 1 / (N0 + 2), which keep the fit finite where the
    classes do not overlap, by Newton's method with backtracking (Lin, Lin & Weng 2007). With weights, N1 and N0 are
    the effective numbers of items, (sum w)^2 / sum w^2 (Kish). The class shares in the (weighted) data are the prior
    that the probabilities assume.

    Raises `ValueError` if a class is missing or the data are malformed, `RuntimeError` if the fit does not converge.
    """
    truth, x = checked(labels, logits)
    w = checked_weights(truth, weights)
    if not (w[truth].sum() > 0 and w[~truth].sum() > 0):
        raise ValueError("both classes are needed to fit a calibration: one has no items, or no weight")
    forged, authentic = (w[c].sum() ** 2 / (w[c] ** 2).sum() for c in (truth, ~truth))
    target = np.where(truth, (forged + 1) / (forged + 2), 1 / (authentic + 2))
    w = w / w.sum()

    # Fitted on standardised logits, so that step sizes and the ridge mean the same for any scale.
    centre = w @ x
    spread = np.sqrt(w @ (x - centre) ** 2)
    scale = spread if spread > 1e-12 * np.abs(x).max() else 1.0
    design = np.stack([(x - centre) / scale, np.ones_like(x)])
    prior = w @ target
    theta = np.array([0.0, np.log(prior / (1 - prior))])

    def loss(parameters: Floats) -> float:
        z = parameters @ design
        return float(w @ (np.logaddexp(0, z) - target * z))

    for _ in range(ITERATIONS):
        p = _sigmoid(theta @ design)
        gradient = design @ (w * (p - target))
        if np.abs(gradient).max() < GRADIENT:
            slope = theta[0] / scale
            return Platt(float(slope), float(theta[1] - slope * centre))
        hessian = (design * (w * p * (1 - p))) @ design.T + 1e-12 * np.eye(2)
        direction = -np.linalg.solve(hessian, gradient)
        step, now = 1.0, loss(theta)
        while loss(theta + step * direction) > now + 1e-4 * step * (gradient @ direction) and step > SMALLEST_STEP:
            step /= 2
        theta = theta + step * direction
    raise RuntimeError(f"Platt scaling did not converge in {ITERATIONS} steps; are the logits sane?")


def threshold_at_fpr(authentic_logits: ArrayLike, fpr: float) -> Threshold:
    """The lowest threshold that at most `fpr` (0..1, exclusive) of files like these n authentic ones reach.

    Split conformal: just above the k-th smallest logit, k = ceil((n + 1)(1 - fpr)). A new file exchangeable with
    these is then flagged with probability at most `fpr`, and at most `fpr` of these are. With n < 1 / fpr - 1 no
    threshold is known to do that: the one returned is just above all n, and `supported` is False. Raises `ValueError`
    on no or non-finite logits.
    """
    x = np.sort(_finite(authentic_logits))
    _check_rate(fpr)
    # The tolerance keeps (n + 1)(1 - fpr) = 19.000000000000004 from being taken for 20.
    k = int(np.ceil((x.size + 1) * (1 - fpr) - 1e-9))
    return Threshold(_just_above(x[min(k, x.size) - 1]), x.size, k <= x.size)


def threshold_at_miss_rate(forged_logits: ArrayLike, miss_rate: float) -> Threshold:
    """The highest threshold that at most `miss_rate` of files like these forged ones are at or below.

    `threshold_at_fpr` mirrored.
    """
    mirrored = threshold_at_fpr(-_finite(forged_logits), miss_rate)
    return mirrored._replace(logit=-mirrored.logit)


def thresholds_across_sources(
    logits_by_source: Mapping[str, ArrayLike], rate: float, side: Side = "forged"
) -> AcrossSources:
    """One threshold for all sources, and what it does on each, also when it was set without that source.

    `logits_by_source` holds float[n_s] for each source: authentic files for `side="forged"` and `rate` the false-
    alarm rate, forged files for `side="authentic"` and `rate` the miss rate.

    **The rule: the worst source, each shrunk towards the pool.** For source s the distribution of logits is estimated
    by its own n_s files together with a pool worth m = 2 (1 / rate - 1) files, twice what a threshold at `rate` must
    rest on at all; in the pool, source s weighs n_s / (n_s + m). Its threshold is the lowest that at most `rate` of
    that mixture reaches, and the strictest over the sources is chosen. So a large source speaks for itself, and one odd
    file in a source of three moves little.

    Why: on simulated sources that differ in place and width (tests/test_calibration.py, table in docs/evaluation.md),
    the quantile of the pool leaves the worst source two to five times the stated rate; the strictest of the sources'
    own conformal quantiles keeps it, but lets the smallest sources decide and finds fewer of the forged files. This
    rule stays near the stated rate on the worst source and finds more. No rule can promise a rate on unseen sources:
    without assumptions on how sources differ, that takes at least 1 / rate - 1 of them: see `rate_without`.

    Raises `ValueError` on no source, a source without logits, non-finite logits, or a rate outside 0..1.
    """
    _check_rate(rate)
    sign = -1.0 if side == "authentic" else 1.0
    sources = _checked_sources(logits_by_source, sign)
    chosen = _strictest(sources, rate)
    report = {}
    for name, x in sources.items():
        others = {other: y for other, y in sources.items() if other != name}
        without = _strictest(others, rate) if others else None
        report[name] = SourceRate(
            n=x.size,
            rate=float((x >= chosen).mean()),
            threshold_without=None if without is None else sign * without,
            rate_without=None if without is None else float((x >= without).mean()),
        )
    worst = max(report, key=lambda name: report[name].rate_without or 0.0) if len(report) > 1 else None
    return AcrossSources(
        side=side,
        stated_rate=rate,
        threshold=sign * chosen,
        supported=_smallest_rate(sources) <= rate,
        sources=report,
        worst_source=worst,
        worst_rate=None if worst is None else report[worst].rate_without,
    )


def risk_curve(
    logits_by_source: Mapping[str, ArrayLike], rates: Sequence[float] = RATES, side: Side = "forged"
) -> RiskCurve:
    """The thresholds of `thresholds_across_sources` at each of `rates` (rising), to be stored with a model.

    A higher rate never has a stricter threshold. Errors as there.
    """
    sign = -1.0 if side == "authentic" else 1.0
    sources = _checked_sources(logits_by_source, sign)
    for rate in rates:
        _check_rate(rate)
    strictest = [_strictest(sources, rate) for rate in rates]
    # The pool's make-up changes with the rate, so that the rule alone could be out of order by a hair.
    falling = np.maximum.accumulate(strictest[::-1])[::-1]
    return RiskCurve(tuple(rates), tuple(float(t) for t in sign * falling), _smallest_rate(sources), side)


def _strictest(sources: Mapping[str, Floats], rate: float) -> float:
    """The rule of `thresholds_across_sources`, for the upper tail."""
    x = np.concatenate(list(sources.values()))
    source = np.repeat(np.arange(len(sources)), [y.size for y in sources.values()])
    order = np.argsort(-x)
    x, source = x[order], source[order]
    worth = 2 * (1 / rate - 1)
    n = np.bincount(source)
    pool = worth * (1 / (n + worth) / (n / (n + worth)).sum())[source]
    strictest = -np.inf
    for s in range(len(sources)):
        reached = np.cumsum(pool + (source == s))
        first_too_many = int(np.argmax(reached > rate * reached[-1] * (1 + 1e-12)))
        strictest = max(strictest, x[first_too_many])
    return _just_above(strictest)


def _smallest_rate(sources: Mapping[str, Floats]) -> float:
    return 1 / (1 + sum(x.size for x in sources.values()))


def _checked_sources(logits_by_source: Mapping[str, ArrayLike], sign: float) -> dict[str, Floats]:
    if not logits_by_source:
        raise ValueError("no sources: thresholds need at least one")
    return {name: sign * _finite(logits, f"source {name!r}: ") for name, logits in logits_by_source.items()}


def _finite(logits: ArrayLike, where: str = "") -> Floats:
    x = np.asarray(logits, dtype=np.float64)
    if x.ndim != 1 or x.size == 0 or not np.isfinite(x).all():
        raise ValueError(f"{where}logits must be a list of at least one finite number")
    return x


def _check_rate(rate: float) -> None:
    if not 0 < rate < 1:
        raise ValueError(f"a rate must lie between 0 and 1, both excluded, not {rate}")


def _just_above(logit: float) -> float:
    return float(np.nextafter(logit, np.inf))


def _sigmoid(z: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -z))
