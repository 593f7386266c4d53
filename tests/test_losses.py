"""Losses against their formulas written out, item by item."""

from __future__ import annotations

import math

import pytest
import torch

from interceptor.training.stages.losses import class_weights, cross_entropy, focal, loss
from interceptor.training.stages.recipe import load_recipe

LOGITS = [[0.3, -1.2], [2.0, 2.5], [-0.7, 0.1], [4.0, -3.0], [0.0, 0.0]]
LABELS = [0, 1, 0, 1, 1]
WEIGHTS = [0.5, 1.7]


def probability(item: int) -> float:
    """Of the true class."""
    own, other = LOGITS[item][LABELS[item]], LOGITS[item][1 - LABELS[item]]
    return 1 / (1 + math.exp(other - own))


def written_out(*, weighted: bool, alpha: float = 1.0, gamma: float = 0.0) -> float:
    total = 0.0
    for item, label in enumerate(LABELS):
        p = probability(item)
        total += alpha * (WEIGHTS[label] if weighted else 1.0) * (1 - p) ** gamma * -math.log(p)
    return total / len(LABELS)


@pytest.mark.parametrize("weighted", [False, True])
def test_losses_are_their_formulas(weighted: bool) -> None:
    logits, labels = torch.tensor(LOGITS), torch.tensor(LABELS)
    weights = torch.tensor(WEIGHTS) if weighted else None
    assert cross_entropy(logits, labels, weights).item() == pytest.approx(written_out(weighted=weighted), rel=1e-5)
    expected = written_out(weighted=weighted, alpha=0.25, gamma=2.0)
    assert focal(logits, labels, 0.25, 2.0, weights).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "weighted", "focused"),
    [
        ("cross-entropy", False, False),
        ("focal", False, True),
        ("weighted-cross-entropy", True, False),
        ("weighted-focal", True, True),
    ],
)
def test_a_recipe_chooses_its_loss(name: str, weighted: bool, focused: bool) -> None:
    recipe = load_recipe("dfdc", [f"loss={name}"])
    found = loss(recipe, torch.tensor(LOGITS), torch.tensor(LABELS), torch.tensor(WEIGHTS)).item()
    extra = {"alpha": 0.25, "gamma": 2.0} if focused else {}
    assert found == pytest.approx(written_out(weighted=weighted, **extra), rel=1e-5)


def test_classes_are_rebalanced_once() -> None:
    assert class_weights(load_recipe("dfdc"), (10, 90)).tolist() == [1, 1]  # the sampler has done it
    unbalanced = load_recipe("dfdc", ["balance=false"])
    weights = class_weights(unbalanced, (10, 90))
    assert weights.tolist() == pytest.approx([5.0, 100 / 180])
    assert (weights * torch.tensor([10, 90])).sum() / 100 == pytest.approx(1.0)
    assert class_weights(load_recipe("dfdc", ["class_weights=[1, 3]"]), (10, 90)).tolist() == [1, 3]
    assert class_weights(load_recipe("faceforensics", ["balance=false"]), (10, 90)).tolist() == [1, 1]


def test_halves_of_a_batch_add_up_to_the_whole() -> None:
    logits, labels, weights = torch.tensor(LOGITS[:4]), torch.tensor(LABELS[:4]), torch.tensor(WEIGHTS)
    whole = focal(logits, labels, weights=weights)
    halves = [focal(logits[i : i + 2], labels[i : i + 2], weights=weights) for i in (0, 2)]
    torch.testing.assert_close(whole, sum(halves) / 2)
