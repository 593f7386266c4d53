"""Losses over two classes (0 authentic, 1 forged): each a mean over items, so that processes and batches add up.

A weighted loss multiplies each item by its class's weight and divides by the number of items, not by the sum of their
weights: else two processes with other classes in their halves would not give what one gives for the whole.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from interceptor.training.stages.recipe import Recipe


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean of w[y] * -ln p[y]; `logits` [n, 2], `labels` int64[n], `weights` [2]."""
    each = functional.cross_entropy(logits, labels, reduction="none")
    return (each if weights is None else each * weights[labels]).mean()


def focal(
    logits: Tensor, labels: Tensor, alpha: float = 0.25, gamma: float = 2.0, weights: Tensor | None = None
) -> Tensor:
    """Mean of alpha * w[y] * (1 - p[y])^gamma * -ln p[y] (Lin et al., ICCV 2017); shapes as for `cross_entropy`.

    `alpha` is common to both classes. Lin's alpha_t, which differs between them, is a class weight: that is what
    `weights` are for, and with balanced batches they are 1.
    """
    each = functional.cross_entropy(logits, labels, reduction="none")
    each = alpha * (1 - torch.exp(-each)) ** gamma * each
    return (each if weights is None else each * weights[labels]).mean()


def class_weights(recipe: Recipe, counts: tuple[int, int]) -> Tensor:
    """Weights [2] of a recipe for training rows of these counts (authentic, forged), both above 0.

    Balanced once: those of the recipe, else 1 where the loss is not weighted or the sampler balances, else the inverse
    of a class's share, with mean 1 over the rows.
    """
    if recipe.class_weights:
        return torch.tensor(recipe.class_weights)
    if recipe.balance or not recipe.loss.startswith("weighted"):
        return torch.ones(2)
    return sum(counts) / (2 * torch.tensor(counts, dtype=torch.float32))


def loss(recipe: Recipe, logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """The recipe's loss of `logits` [n, 2] in float32."""
    weights_or_none = weights if recipe.loss.startswith("weighted") else None
    if recipe.loss.endswith("focal"):
        return focal(logits.float(), labels, recipe.focal_alpha, recipe.focal_gamma, weights_or_none)
    return cross_entropy(logits.float(), labels, weights_or_none)
