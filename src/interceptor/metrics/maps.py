"""Maps of several members made into one, and one score for the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from interceptor.metrics.classification import Floats

TOP = 0.005
"""The share of a map whose mean logit scores the picture: about a forgery of half a percent."""
LEAST = 1e-6
"""Probabilities are kept this far from 0 and 1 before their logit is taken."""


def logit(probability: NDArray[np.floating]) -> NDArray[np.floating]:
    """log(p / (1 - p)), at most about 14 either way."""
    kept = np.clip(probability, LEAST, 1 - LEAST)
    return np.log(kept) - np.log1p(-kept)


def sigmoid(values: NDArray[np.floating]) -> NDArray[np.floating]:
    return 1 / (1 + np.exp(-values))


def combined(
    logits: NDArray[np.floating], names: Sequence[str], weights: Mapping[str, float], union: Mapping[str, float]
) -> NDArray[np.floating]:
    """Members' logits [..., members, h, w], in the order of `names`, as one map of logits [..., h, w].

    The weighted mean of the probabilities; members named in `union` are no part of it: where one of them, times its
    factor, says more, that counts.
    """
    planes = dict(zip(names, np.moveaxis(sigmoid(logits), -3, 0), strict=True))
    total = sum(weights[name] for name in weights)
    probability = sum(planes[name] * np.float32(weights[name] / total) for name in weights)
    for name, factor in union.items():
        probability = np.maximum(probability, planes[name] * np.float32(factor))
    return logit(probability)


def top_score(logits: NDArray[np.floating]) -> Floats:
    """The mean of the highest `TOP` of each map [..., h, w]: float64[...]."""
    flat = logits.reshape(*logits.shape[:-2], -1)
    count = max(1, round(TOP * flat.shape[-1]))
    return np.partition(flat, -count, axis=-1)[..., -count:].mean(axis=-1, dtype=np.float64)
