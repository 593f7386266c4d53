"""The closed-form read-out finds what forging does to mean tokens, and not whose face it is; or that sound is late."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from interceptor.metrics.classification import roc_auc
from interceptor.models.lags import lag_view
from interceptor.models.modules import module_spec
from interceptor.models.standard import StandardHead
from interceptor.training.checkpoints import CheckpointError
from interceptor.training.specialists.export import write_head
from interceptor.training.specialists.readout import Faces, _ridges, fit_readout

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
        aucs.append(roc_auc(labels, said(head, new.vectors)))
    assert aucs[1] > 0.9
    assert aucs[1] > aucs[0] + 0.01


def test_it_stays_at_nothing_where_forging_does_nothing() -> None:
    head = StandardHead(module_spec("rr"), WIDTH)
    noise = pairs(40, np.zeros(WIDTH))
    swapped = Faces(noise.vectors.reshape(-1, 2, WIDTH)[:, ::-1].reshape(-1, WIDTH), noise.groups)
    both = Faces(np.concatenate([noise.vectors, swapped.vectors]), np.concatenate([noise.groups, noise.groups]))
    fit_readout(head, both, noise)
    assert np.abs(said(head, noise.vectors)).max() < 1e-3


def test_too_few_people_are_an_error() -> None:
    head = StandardHead(module_spec("rr"), WIDTH)
    with pytest.raises(CheckpointError, match="pairs of 2 media"):
        fit_readout(head, pairs(4), pairs(8))


def talk(count: int, least: int) -> tuple[torch.Tensor, Faces]:
    """Lenses float32[2 count, 3, 112, 112], in sync and out of it by `least` to 12 of the 28 lags, on a background of
    noise, and what an audio-visual head's read-out reads of them.
    """
    late = np.stack([RNG.integers(-1, 2, count), RNG.choice([-1, 1], count) * RNG.integers(least, 13, count)], 1)
    curves = np.exp(-((np.arange(28) - 13.5 - late.reshape(-1, 1)) ** 2) / 4) + 0.15 * RNG.normal(size=(2 * count, 28))
    lenses = RNG.normal(0, 0.3, (2 * count, 3, 112, 112))
    lenses[:, 2] += 0.4 * np.repeat(curves, 4, 1)[..., None]
    seen = torch.from_numpy(lenses).float()
    groups = np.array([f"one{i // 2}" for i in range(count)]).repeat(2)
    return seen, Faces(StandardHead(module_spec("av"), WIDTH).view(torch.zeros(2 * count, WIDTH), seen).numpy(), groups)


def test_sound_that_is_apart_from_lips_is_told_by_the_lens_whatever_the_tokens(tmp_path: Path) -> None:
    head = StandardHead(module_spec("av"), WIDTH).eval()
    known = talk(30, 7)[1]
    card = fit_readout(head, known, Faces(known.vectors[::2], known.groups[::2]))
    assert card["auc_held_out"] > 0.9
    seen = talk(24, 7)[0]
    tokens = torch.randn(len(seen), 49, WIDTH, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = head(tokens, tokens.mean(1), seen)
        lit = seen.clone()
        lit[:, :2] = 0
        torch.testing.assert_close(head(torch.zeros_like(tokens), torch.zeros(len(seen), WIDTH), lit), logits)
    expected = (logits[:, 1] - logits[:, 0]).numpy()
    assert roc_auc(np.tile([0, 1], 24), expected) > 0.9
    write_head(head, tmp_path / "head.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "head.onnx")
    (found,) = session.run(None, {"tokens": tokens.numpy(), "lens": seen.numpy()})
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_what_it_reads_of_the_lags() -> None:
    """Best in sync (0.06 s either way), best out of it (beyond 0.2 s) and the spread there; a tenth of a second is
    neither.
    """
    lens = torch.zeros(3, 3, 112, 112)
    for sample, (row, value) in zip(lens, ((13, 0.8), (13 - 10, 0.8), (13 - 3, 0.8)), strict=True):
        sample[2, 4 * row : 4 * row + 4] = value
    outside = np.zeros(18)
    outside[0] = 0.8
    expected = [[0.8, 0, 0], [0, 0.8, outside.std()], [0, 0, 0]]
    torch.testing.assert_close(lag_view(lens), torch.tensor(expected, dtype=torch.float32), atol=2e-4, rtol=0)


def test_few_long_and_many_short_samples_give_the_ridge_of_their_definition() -> None:
    for count, width in ((6, 40), (40, 6)):
        own, content = RNG.normal(size=(count, width)), RNG.normal(size=(count, width))
        labels = np.tile([0, 1], count // 2)
        weight, offset = _ridges(own, labels, content, (2.0,))[0]
        rows = np.concatenate([own - own.mean(0), content - content.mean(0)])
        strength = 2.0 * (rows**2).sum(1).mean()
        targets = np.concatenate([2.0 * labels - 1, np.zeros(count)])
        np.testing.assert_allclose(rows.T @ (targets - rows @ weight), strength * weight, atol=1e-8)
        assert offset == pytest.approx(-own.mean(0) @ weight)
