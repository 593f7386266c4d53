"""Stacking: several detectors' scores into one calibrated log-odds, without learning the sources they were tried on.

A stack fitted freely learns which source a file comes from, and loses to a plain mean on sources it has not seen. This
one is held back four times:

1. **Robust calibration.** A member's score counts by its rank among the fitting scores (0..1), and Platt scaling makes
   that a log-odds. So a member that saturates, or whose scores lie elsewhere on a new source, cannot outvote the rest.
2. **Balanced sources.** Each class weighs one half, and in it each source the same, however many files it has.
3. **Shrunk weights.** Logistic stacking with weights >= 0 (Wolpert 1992; Breiman 1996), drawn towards equal weights.
4. **Members must pay.** On inner folds that leave whole sources out, calibration included, members are left out one by
   one, for as long as that lowers the loss (weights equal); then the strength of the shrinkage is chosen likewise. With
   fewer than five sources in a class nothing is chosen: so few tell themselves apart, not members. Weights are equal.

Where one member is known to be good, on far more than these scores (`incumbent`), the fourth is turned round: others
come in one by one, each only if that lowers the loss by more than chance, and through a gate if that is better (see
`gates`). Its scores are calibrated log-odds and stay what they are; alone it is the answer. Else a handful of sources
would outvote what is known.

The log-odds is `offset + total * sum(w l) / sum(w)` over the members that gave a score, l their log-odds, w their
weights and `total` the sum of all weights: those that abstain drop out and the rest take their share, as do those
whose gate is shut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interceptor.metrics.calibration import Platt, fit_platt
from interceptor.metrics.classification import Floats, checked
from interceptor.metrics.gates import Gate, Quality, admit, gated

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e3)
"""Tried as penalties; the last one makes weights equal."""

TRIAL = 1e-1
"""The penalty at which members are tried beside an incumbent."""
INNER_FOLDS = 5
KNOTS = 101
"""A member's distribution of scores is kept as this many quantiles at most."""
WIDEST = 20.0
"""Log-odds of an incumbent are cut off here."""
FEWEST = 10
"""Scores of either class that a member must have given to be calibrated."""
ITERATIONS = 100
CONVERGED = 1e-6
"""Nats by which a step must lower the balanced loss, else the fit is done: where members seldom meet, the ratio of two
weights that are nearly 0 would be fitted for hundreds of steps, to no effect."""


class Calibration(NamedTuple):
    """One member's score to its log-odds: its rank among the fitting scores, then a line."""

    scores: tuple[float, ...]
    """Rising."""
    ranks: tuple[float, ...]
    """Share (by weight) of the fitting scores below each of `scores`, ties half, 0..1; an incumbent's own scores."""
    platt: Platt

    def log_odds(self, scores: ArrayLike) -> Floats:
        """float64 of the shape of `scores`; NaN (the member abstains) stays NaN."""
        return self.platt.slope * np.interp(np.asarray(scores, np.float64), self.scores, self.ranks) + self.platt.offset


AS_IT_IS = Calibration((-WIDEST, WIDEST), (-WIDEST, WIDEST), Platt(1.0, 0.0))


@dataclass(frozen=True)
class Stack:
    """A fitted ensemble. `as_dict` and `from_dict` take it to a card and back."""

    members: tuple[str, ...]
    calibrations: dict[str, Calibration]
    """Of the members that point to forgeries, those left out (weight 0) included."""
    weights: tuple[float, ...]
    """>= 0, in the order of `members`."""
    offset: float
    strength: float
    """The shrinkage that the inner folds chose."""
    gates: dict[str, Gate] = field(default_factory=dict)
    """Of the members that do not count everywhere."""

    def member_log_odds(self, scores: ArrayLike) -> Floats:
        """Raw scores float[n, members], NaN where a member abstains, to log-odds; NaN where there is no calibration."""
        table = _checked_table(scores, len(self.members))
        columns = [
            self.calibrations[name].log_odds(column) if name in self.calibrations else np.full(len(column), np.nan)
            for name, column in zip(self.members, table.T, strict=True)
        ]
        return np.stack(columns, axis=1)

    def shares(self, scores: ArrayLike, quality: Quality | None = None) -> Floats:
        """What each member counts for each item, float64[n, members]; a row adds up to 1, or to 0 if all abstain."""
        w = np.where(np.isfinite(self._heard(scores, quality)), self.weights, 0.0)
        total = w.sum(axis=1, keepdims=True)
        return np.divide(w, total, out=np.zeros_like(w), where=total > 0)

    def log_odds(self, scores: ArrayLike, quality: Quality | None = None) -> Floats:
        """Raw scores float[n, members] to log-odds of forgery float64[n]; NaN where no member with a weight scored.

        A member with a gate is not heard where `quality` does not open it.
        """
        return _combine(self._heard(scores, quality), np.array(self.weights), self.offset)

    def _heard(self, scores: ArrayLike, quality: Quality | None) -> Floats:
        return gated(self.member_log_odds(scores), self.members, self.gates, quality or {})

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        calibrations = {
            name: {"scores": list(c.scores), "ranks": list(c.ranks), "slope": c.platt.slope, "offset": c.platt.offset}
            for name, c in self.calibrations.items()
        }
        return {
            "members": list(self.members),
            "weights": list(self.weights),
            "offset": self.offset,
            "strength": self.strength,
            "gates": {name: gate._asdict() for name, gate in self.gates.items()},
            "calibrations": calibrations,
        }

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Stack:
        calibrations = {
            name: Calibration(tuple(c["scores"]), tuple(c["ranks"]), Platt(c["slope"], c["offset"]))
            for name, c in stored["calibrations"].items()
        }
        return cls(
            tuple(stored["members"]),
            calibrations,
            tuple(stored["weights"]),
            stored["offset"],
            stored["strength"],
            {name: Gate(**gate) for name, gate in stored.get("gates", {}).items()},
        )


def source_weights(labels: ArrayLike, sources: ArrayLike) -> Floats:
    """float64[n], adding up to 1: each class weighs one half and, within it, each source the same."""
    truth = np.asarray(labels, dtype=bool)
    weights = np.zeros(truth.size)
    for kind in (truth, ~truth):
        _, number, count = np.unique(np.asarray(sources)[kind], return_inverse=True, return_counts=True)
        weights[kind] = 0.5 / (count.size * count[number]) if count.size else 0.0
    return weights


def source_folds(labels: ArrayLike, sources: ArrayLike, folds: int) -> NDArray[np.intp]:
    """The fold of each item, int[n], 0..folds - 1: no source is in two folds, each fold gets its share of both classes.

    Sources with both classes first, then the largest, each to the fold that has the fewest items of its kind. Raises
    `ValueError` where a class is in fewer sources than there are folds, or for less than two folds.
    """
    truth = np.asarray(labels, dtype=bool)
    _, number = np.unique(np.asarray(sources), return_inverse=True)
    count = np.stack([np.bincount(number, weights=kind) for kind in (~truth, truth)])
    authentic, forged = (count > 0).sum(axis=1)
    if min(authentic, forged) < folds or folds < 2:
        raise ValueError(
            f"{forged} sources with forged and {authentic} with authentic items cannot make {folds} folds with both"
        )
    share = count / count.sum(axis=1, keepdims=True)
    held = np.zeros((2, folds))
    fold = np.zeros(count.shape[1], dtype=np.intp)
    for source in np.lexsort((-count.sum(axis=0), (count == 0).any(axis=0))):
        fold[source] = np.lexsort((held.sum(axis=0), share[:, source] @ held))[0]
        held[:, fold[source]] += share[:, source]
    return fold[number]


def fit_stack(
    scores: ArrayLike,
    labels: ArrayLike,
    sources: ArrayLike,
    members: Sequence[str],
    *,
    folds: int = INNER_FOLDS,
    fewest: int = FEWEST,
    incumbent: str | None = None,
    quality: Quality | None = None,
    gates: Mapping[str, Sequence[Gate]] | None = None,
) -> Stack:
    """Fit calibrations, members kept, shrinkage and weights to raw scores float[n, members], NaN where one abstains.

    `labels` [n] (1 = forged), `sources` [n] name where each item is from: any sortable values. A higher score must lean
    forged. With fewer sources in a class than `folds`, weights are equal. Scores must be out of fold: of files that
    their member was not trained on. A member counts only where it gave at least `fewest` scores of either class.
    With an `incumbent`, whose scores must be calibrated log-odds, the others must be worth adding to it; `gates` are
    those that may be tried then, by member, on the measures `quality` of the items.

    Raises `ValueError` on malformed input, fewer than two sources in a class, or if no member points to forgeries.
    """
    table = _checked_table(scores, len(members))
    truth, _ = checked(labels, np.zeros(len(table)))
    names = np.asarray(sources)
    least = min(np.unique(names[kind]).size for kind in (truth, ~truth))
    fold = source_folds(truth, names, min(folds, least))
    weights = source_weights(truth, names)

    known = None if incumbent is None else list(members).index(incumbent)

    def split(values: Floats) -> list[_Fold]:
        return [_Fold.of(values, truth, names, fold == f, fewest, known) for f in range(fold.max() + 1)]

    def losses_of(parts: list[_Fold], chosen: list[int], strength: float) -> Floats:
        """Balanced losses [n] on sources that neither the weights nor the calibrations have seen."""
        log_odds = np.full(truth.size, np.nan)
        for part in parts:
            w, offset = _fit(part.fitting[:, chosen], truth[~part.held], part.weights, strength)
            log_odds[part.held] = _combine(part.testing[:, chosen], w, offset)
        z = np.where(np.isfinite(log_odds), log_odds, 0.0)
        return weights * (np.logaddexp(0, z) - truth * z)

    def with_some(values: Floats, chosen: list[int]) -> Floats | None:
        parts = split(values)
        return losses_of(parts, chosen, TRIAL) if set(chosen) <= set(_usable(parts)) else None

    taken: dict[str, Gate] = {}
    only = set(range(len(members)))
    if incumbent is not None and known is not None:
        admitted = [known]
        if least >= folds:
            admitted, taken = admit(table, members, incumbent, gates or {}, quality or {}, names, with_some)
        table, only = gated(table, members, taken, quality or {}), set(admitted)
    inner = split(table)
    calibrations = _calibrate(table, truth, weights, fewest, known)
    kept = [m for m in _usable(inner) if calibrations[m] is not None and m in only]
    if not kept:
        raise ValueError("no member points to forgeries on every part of the sources: nothing to stack")

    def loss(chosen: list[int], strength: float) -> float:
        return float(losses_of(inner, chosen, strength).sum())

    strength = STRENGTHS[-1]
    if least >= folds:
        best = loss(kept, strength)
        while len(kept) > 1 and incumbent is None:
            without = [[m for m in kept if m != left_out] for left_out in kept]
            losses = [loss(chosen, strength) for chosen in without]
            if min(losses) >= best:
                break
            kept, best = without[int(np.argmin(losses))], min(losses)
        strength = min(STRENGTHS[::-1], key=lambda tried: loss(kept, tried))

    columns = np.stack([_log_odds(calibrations[m], table[:, m]) for m in kept], axis=1)
    # Others are tried against the incumbent as these items would have it calibrated; alone it stays what it is.
    w, offset = (np.ones(1), 0.0) if kept == [known] else _fit(columns, truth, weights, strength)
    chosen_weights = np.zeros(len(members))
    chosen_weights[kept] = w
    return Stack(
        members=tuple(members),
        calibrations={name: c for name, c in zip(members, calibrations, strict=True) if c is not None},
        weights=tuple(float(v) for v in chosen_weights),
        offset=offset,
        strength=strength,
        gates=taken,
    )


class _Fold(NamedTuple):
    """One inner fold: log-odds [n, members] by calibrations that have not seen the sources held out."""

    held: NDArray[np.bool_]
    fitting: Floats
    testing: Floats
    weights: Floats
    usable: list[bool]

    @classmethod
    def of(
        cls,
        table: Floats,
        truth: NDArray[np.bool_],
        names: NDArray[Any],
        held: NDArray[np.bool_],
        fewest: int,
        known: int | None,
    ) -> _Fold:
        weights = source_weights(truth[~held], names[~held])
        calibrations = _calibrate(table[~held], truth[~held], weights, fewest, known)
        log_odds = np.stack([_log_odds(c, table[:, m]) for m, c in enumerate(calibrations)], axis=1)
        return cls(held, log_odds[~held], log_odds[held], weights, [c is not None for c in calibrations])


def _usable(parts: Sequence[_Fold]) -> list[int]:
    """Members that point to forgeries on every part of the sources."""
    return [m for m in range(len(parts[0].usable)) if all(part.usable[m] for part in parts)]


def _calibrate(
    table: Floats, truth: NDArray[np.bool_], weights: Floats, fewest: int, known: int | None
) -> list[Calibration | None]:
    """One for each column; None where there is too little to tell, or it does not point to forgeries. The column
    `known` has its own.
    """
    return [
        AS_IT_IS if m == known else _calibration(column, truth, weights, fewest) for m, column in enumerate(table.T)
    ]


def _calibration(column: Floats, truth: NDArray[np.bool_], weights: Floats, fewest: int) -> Calibration | None:
    given = np.isfinite(column)
    x, y, w = column[given], truth[given], weights[given]
    if min(y.sum(), (~y).sum()) < fewest or np.ptp(x) == 0:
        return None
    values, number = np.unique(x, return_inverse=True)
    mass = np.bincount(number, weights=w / w.sum())
    middle = np.cumsum(mass) - mass / 2
    if values.size > KNOTS:
        places = np.unique(np.searchsorted(middle, np.linspace(0, middle[-1], KNOTS)))
        values, middle = values[places], middle[places]
    platt = fit_platt(np.interp(x, values, middle), y, w)
    if platt.slope <= 0:
        return None
    return Calibration(tuple(values.tolist()), tuple(middle.tolist()), platt)


def _log_odds(calibration: Calibration | None, column: Floats) -> Floats:
    return np.full(column.size, np.nan) if calibration is None else calibration.log_odds(column)


def _combine(log_odds: Floats, weights: Floats, offset: float) -> Floats:
    """The formula of the file's head; NaN where no member with a weight scored."""
    given = np.isfinite(log_odds)
    total = given @ weights
    mean = np.divide(np.where(given, log_odds, 0.0) @ weights, total, out=np.full(len(total), np.nan), where=total > 0)
    return offset + weights.sum() * mean


def _fit(log_odds: Floats, truth: NDArray[np.bool_], item_weights: Floats, strength: float) -> tuple[Floats, float]:
    """Weights float64[members] >= 0 and offset, by projected Newton steps (Bertsekas 1982) with backtracking.

    The penalty is strength * members * sum (w - mean w)^2: it draws weights together and leaves their sum free.
    """
    n, members = log_odds.shape
    given = np.isfinite(log_odds)
    x = np.where(given, log_odds, 0.0)
    penalty = np.zeros((members + 1, members + 1))
    penalty[:members, :members] = 2 * strength * members * (np.eye(members) - 1 / members)

    def mean_of(theta: Floats) -> tuple[Floats, Floats]:
        """Weighted mean of the log-odds given, and sum of all weights over that of the members that gave them."""
        w = theta[:members]
        present = given @ w
        some = present > 0
        mean = np.divide(x @ w, present, out=np.zeros(n), where=some)
        return mean, np.divide(w.sum(), present, out=np.zeros(n), where=some)

    def loss(theta: Floats) -> float:
        z = theta[members] + theta[:members].sum() * mean_of(theta)[0]
        return float(item_weights @ (np.logaddexp(0, z) - truth * z) + theta @ penalty @ theta / 2)

    theta = np.append(np.full(members, 1 / members), 0.0)
    now = loss(theta)
    for _ in range(ITERATIONS):
        mean, scale = mean_of(theta)
        p = np.exp(-np.logaddexp(0, -(theta[members] + theta[:members].sum() * mean)))
        slopes = np.column_stack([mean[:, None] + scale[:, None] * given * (x - mean[:, None]), np.ones(n)])
        gradient = slopes.T @ (item_weights * (p - truth)) + penalty @ theta
        curvature = (slopes * (item_weights * p * (1 - p))[:, None]).T @ slopes + penalty + 1e-9 * np.eye(members + 1)
        free = np.append((theta[:members] > 0) | (gradient[:members] < 0), True)
        direction = np.zeros(members + 1)
        direction[free] = -np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
        step = 1.0
        while True:
            moved = theta + step * direction
            moved[:members] = np.maximum(moved[:members], 0.0)
            after = loss(moved) if moved[:members].any() else np.inf  # with no weight at all there is no slope back
            if after <= now + 1e-4 * gradient @ (moved - theta) or step < 1e-8:
                break
            step /= 2
        if now - after < CONVERGED:
            return theta[:members], float(theta[members])
        theta, now = moved, after
    raise RuntimeError(f"stacking did not converge in {ITERATIONS} steps; are the scores sane?")


def _checked_table(scores: ArrayLike, members: int) -> Floats:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != members:
        raise ValueError(f"scores must be [items, {members} members], not {table.shape}")
    if np.isinf(table).any():
        raise ValueError("scores must be finite, or NaN where a member abstains")
    return table
