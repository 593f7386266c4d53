"""Gates of a stack's members: a member counts only where a quality measure of the item lies on one side of a limit.

Limits are given beforehand, by what the measures mean; only whether a gate is taken is fitted. There are many to try
and few sources to try them on, so one is taken only where it helps by more than chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interceptor.metrics.classification import Floats

CHANCE = 0.05
"""Of taking a gate where none is worth anything; shared among all that are tried (Bonferroni)."""

Quality = Mapping[str, ArrayLike]
"""Measures of the items by name, float[n] each; NaN where one is not known."""


class Gate(NamedTuple):
    """Where a member counts: on items of which `measure` is known and lies above, or below, `limit`."""

    measure: str
    limit: float
    above: bool

    def is_open(self, quality: Quality, items: int) -> NDArray[np.bool_]:
        """bool[items]; nowhere where there is no such measure."""
        values = np.broadcast_to(np.asarray(quality.get(self.measure, np.nan), np.float64), items)
        return values > self.limit if self.above else values < self.limit

    def __str__(self) -> str:
        return f"{self.measure.replace('_', ' ')} {'above' if self.above else 'below'} {self.limit:g}"


def gated(table: Floats, members: Sequence[str], gates: Mapping[str, Gate], quality: Quality) -> Floats:
    """`table` [n, members] with NaN where a member's gate is shut."""
    heard = table.copy()
    for name, gate in gates.items():
        heard[~gate.is_open(quality, len(table)), list(members).index(name)] = np.nan
    return heard


def choose_gates(
    table: Floats,
    members: Sequence[str],
    candidates: Mapping[str, Sequence[Gate]],
    quality: Quality,
    sources: NDArray[np.generic],
    losses: Callable[[Floats], tuple[Floats, list[int]]],
) -> dict[str, Gate]:
    """The gates that pay, by member: added one by one, the best first, one for a member.

    `losses` gives, for scores [n, members], each item's loss [n] where its source was not seen, and the columns that
    are of use. A gate must lower the loss by more than chance: the differences of `sources` [n] against their standard
    error, one-sided.
    """
    tried = [(name, gate) for name, some in candidates.items() if name in members for gate in some]
    if not tried:
        return {}
    errors = NormalDist().inv_cdf(1 - CHANCE / len(tried))
    source = np.unique(sources, return_inverse=True)[1]
    taken: dict[str, Gate] = {}
    now, _ = losses(table)
    while True:
        best, gain_of_best = None, 0.0
        for name, gate in tried:
            if name in taken:
                continue
            after, useful = losses(gated(table, members, taken | {name: gate}, quality))
            gain = np.bincount(source, now - after)
            surely = gain.sum() > errors * np.sqrt(gain.size) * gain.std(ddof=1)
            if list(members).index(name) in useful and surely and gain.sum() > gain_of_best:
                best, gain_of_best = (name, gate, after), gain.sum()
        if best is None:
            return taken
        taken[best[0]], now = best[1], best[2]
