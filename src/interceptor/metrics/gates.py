"""Who may count beside a member that is known to be good, and where.

A gate lets a member count only where a quality measure of the item lies on one side of a limit. Limits are given
beforehand, by what the measures mean. There are many members and gates to try and few sources to try them on, so each
is taken only where it helps by more than chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interceptor.metrics.classification import Floats

CHANCE = 0.05
"""Of taking a member or a gate where none is worth anything; shared among those tried at a time (Bonferroni)."""

FLIPS = 4000

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


def by_chance(gains: Floats, flips: Floats) -> float:
    """How probable it is that gains of sources, float[s], add up to as much if each were as likely a loss: a sign-flip
    test (Fisher 1935) over `flips` [draws, s]. One odd source, however large its gain, is no evidence.
    """
    return float((1 + np.count_nonzero(flips @ gains >= gains.sum())) / (1 + len(flips)))


def admit(
    table: Floats,
    members: Sequence[str],
    incumbent: str,
    candidates: Mapping[str, Sequence[Gate]],
    quality: Quality,
    sources: NDArray[np.generic],
    losses: Callable[[Floats, list[int]], Floats | None],
) -> tuple[list[int], dict[str, Gate]]:
    """The columns that count beside the incumbent's, and the gates of those that do not count everywhere.

    Members come in one by one, the best first, everywhere or through one of the gates that they may have. `losses`
    gives, for scores [n, members] and some columns, each item's loss [n] where its source was not seen, and None where
    one of the columns is of no use, which the incumbent's never is. A member must lower the loss by more than chance:
    see `by_chance`, over `sources` [n].
    """
    number = np.unique(sources, return_inverse=True)[1]
    tried: list[tuple[int, Gate | None]] = [(m, None) for m, name in enumerate(members) if name != incumbent]
    for m, name in enumerate(members):
        if name != incumbent:
            tried += [(m, gate) for gate in candidates.get(name, ()) if gate.is_open(quality, len(table)).any()]
    flips = np.random.default_rng(0).choice([-1.0, 1.0], (FLIPS, number.max() + 1))
    kept, taken = [list(members).index(incumbent)], dict[str, Gate]()
    now = losses(table, kept)
    assert now is not None
    while True:
        found = []
        for m, gate in tried:
            through = taken if gate is None else taken | {members[m]: gate}
            after = None if m in kept else losses(gated(table, members, through, quality), sorted([*kept, m]))
            if after is not None:
                found.append((np.bincount(number, now - after).astype(np.float64), m, through, after))
        sure = [one for one in found if by_chance(one[0], flips) * len(found) <= CHANCE]
        if not sure:
            return sorted(kept), taken
        _, m, taken, now = max(sure, key=lambda one: float(one[0].sum()))
        kept.append(m)
