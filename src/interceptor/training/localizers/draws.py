"""How often each sample is drawn: kinds alike, what a member is meant to learn more often."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from interceptor.training.localizers.data import Sample
from interceptor.training.localizers.recipes import Member


def draw_weights(
    member: Member,
    samples: Sequence[Sample],
    areas: np.ndarray,
    listed: Callable[[str], np.ndarray],
    *,
    authentic_share: float,
    edited_times: float = 1.0,
) -> np.ndarray:
    """float64[n] with sum 1, `authentic_share` of it on authentic samples; within each class kinds weigh the same,
    pictures edited by hand `edited_times` as much.

    `areas` float[n] are the forged shares; `listed(name)` says which samples a list of mistakes names, bool[n]. Raises
    `ValueError` where nothing authentic or nothing forged is left.
    """
    forged = np.array([sample.forged for sample in samples])
    kinds = np.array([sample.source.kind for sample in samples])
    edited = np.array([sample.source.mask is not None for sample in samples])
    weights = np.ones(len(samples))
    weights[forged & (areas > member.below)] = 0
    for label in (False, True):
        for kind in np.unique(kinds):
            group = (kinds == kind) & (forged == label)
            weights[group] /= max(weights[group].sum(), 1)
    weights[edited] *= edited_times
    for what, times in member.draws:
        small = what.startswith("area<")
        weights[forged & (areas < float(what[5:])) if small else listed(what)] *= times
    for label, share in ((False, authentic_share), (True, 1 - authentic_share)):
        total = weights[forged == label].sum()
        if not total:
            raise ValueError(f"there are no {'forged' if label else 'authentic'} samples to train on")
        weights[forged == label] *= share / total
    return weights
