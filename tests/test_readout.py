"""The closed-form read-out finds what forging does to mean tokens, and not whose face it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interceptor.metrics.classification import roc_auc
from interceptor.models.branches import module_spec
from interceptor.models.specialist import StandardHead
from interceptor.training.checkpoints import CheckpointError
from interceptor.training.specialists.readout import Faces, fit_readout

WIDTH = 64
RNG = np.random.default_rng(3)
CONTENT = RNG.normal(size=(12, WIDTH)) * 3
CHANGE = RNG.normal(size=WIDTH) * 0.1


def faces(count: int, shift: np.ndarray) -> np.ndarray:
    """float64[count, WIDTH]: faces that differ in twelve ways, and all a little besides."""
    return RNG.normal(size=(count, 12)) @ CONTENT + 0.1 * RNG.normal(size=(count, WIDTH)) + shift


def pairs(count: int, shift: np.ndarray = CHANGE) -> Faces:
    authentic = faces(count, np.zeros(WIDTH))
    both = np.stack([authentic, authentic + shift + 0.1 * RNG.normal(size=authentic.shape)], 1).reshape(-1, WIDTH)
    return Faces(both.astype(np.float32), np.array([f"one{i // 2}" for i in range(count)]).repeat(2))


def said(head: StandardHead, tokens: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        grid = torch.from_numpy(tokens)[:, None].expand(-1, 49, -1)
        logits = head.eval()(grid, grid.mean(1), torch.zeros(len(grid), 3, 112, 112))
    return (logits[:, 1] - logits[:, 0]).numpy()


def test_new_faces_are_told_and_authentic_ones_of_other_tasks_help() -> None:
    few, new = pairs(16), pairs(200)
    labels = np.tile([0, 1], 200)
    aucs = []
    for count in (16, 300):
        head = StandardHead(module_spec("rr"), WIDTH)
        others = Faces(faces(count, np.zeros(WIDTH)).astype(np.float32), np.array([f"two{i}" for i in range(count)]))
        card = fit_readout(head, few, others)
        assert card["faces"] == count
        aucs.append(roc_auc(labels, said(head, new.tokens)))
    assert aucs[1] > 0.9
    assert aucs[1] > aucs[0] + 0.01


def test_it_stays_at_nothing_where_forging_does_nothing() -> None:
    head = StandardHead(module_spec("rr"), WIDTH)
    noise = pairs(40, np.zeros(WIDTH))
    swapped = Faces(noise.tokens.reshape(-1, 2, WIDTH)[:, ::-1].reshape(-1, WIDTH), noise.groups)
    both = Faces(np.concatenate([noise.tokens, swapped.tokens]), np.concatenate([noise.groups, noise.groups]))
    fit_readout(head, both, noise)
    assert np.abs(said(head, noise.tokens)).max() < 1e-3


def test_too_few_people_are_an_error() -> None:
    head = StandardHead(module_spec("rr"), WIDTH)
    with pytest.raises(CheckpointError, match="pairs of 2 media"):
        fit_readout(head, pairs(4), pairs(8))
