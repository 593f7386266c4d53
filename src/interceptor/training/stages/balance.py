"""What an epoch draws, and in which order: known before it begins, so that any place in it can be gone back to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import WeightedRandomSampler

from interceptor.datasets.shards import Row


class Draw(NamedTuple):
    """One sample of an epoch."""

    row: int
    """place in the manifest"""
    seed: int
    """of its augmentation; depends on the recipe's seed, the chunk, the epoch and the place in it, and on nothing
    else"""


def balanced_weights(rows: Sequence[Row]) -> torch.Tensor:
    """float64[n]: each label weighs the same; in it each method; in that each source; in that each row."""
    levels = [(row.label, row.method, row.source) for row in rows]
    labels = {label for label, _, _ in levels}
    methods = Counter(label for label, _ in {(label, method) for label, method, _ in levels})
    sources = Counter((label, method) for label, method, _ in set(levels))
    members = Counter(levels)
    return torch.tensor(
        [
            1 / (len(labels) * methods[label] * sources[label, method] * members[label, method, source])
            for label, method, source in levels
        ],
        dtype=torch.float64,
    )


def epoch_draws(
    rows: Sequence[Row], places: Sequence[int], count: int, *, balance: bool, seed: tuple[int, int, int]
) -> list[Draw]:
    """`count` draws out of `rows`, whose places in the manifest are `places`.

    Balanced by a `WeightedRandomSampler`, with replacement; else each row once, and again from the start where there
    are fewer. `seed`: the recipe's, the chunk, the epoch.
    """
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    if balance:
        order = list(WeightedRandomSampler(balanced_weights(rows).tolist(), count, generator=generator))
    else:
        order = (torch.randperm(len(rows), generator=generator).repeat(-(-count // len(rows)))[:count]).tolist()
    seeds = rng.integers(2**62, size=count)
    return [Draw(places[i], int(s)) for i, s in zip(order, seeds, strict=True)]


def batches(draws: Sequence[Draw], size: int, first: int, rank: int, world: int) -> list[list[Draw]]:
    """The batches of one of `world` processes, `size` samples each, from number `first` on.

    Together the processes' batches number i are the draws from i * size * world on: one process of twice the size
    sees what two see.
    """
    whole = size * world
    starts = range(first * whole, len(draws) - whole + 1, whole)
    return [list(draws[start + rank * size : start + (rank + 1) * size]) for start in starts]
