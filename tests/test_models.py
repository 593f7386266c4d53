from __future__ import annotations

import numpy as np
import pytest
import torch

from interceptor.models.foundation import BLOCKS, TAPS, WIDTH, Foundation, quantize
from interceptor.models.screen import FEATURES, Readout, Screen, pool
from tiny_data import random_base


@pytest.fixture(scope="module")
def screen() -> Screen:
    torch.manual_seed(1)
    readout = Readout(torch.randn(FEATURES) * 0.1, torch.rand(FEATURES) + 0.5)
    return Screen(Foundation(random_base()), readout).eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 224, 224), dtype=np.uint8))


def test_a_matrix_stored_in_8_bits_comes_back_exactly() -> None:
    integers = torch.randint(-127, 128, (32, 16), dtype=torch.int8)
    integers[:, 3] = 127
    scale = torch.rand(32) + 0.1
    found, found_scale = quantize(integers.float() * scale[:, None])
    torch.testing.assert_close(found, integers.T.contiguous())
    torch.testing.assert_close(found_scale, scale)


def test_any_other_matrix_is_rounded_to_half_a_step() -> None:
    weight = torch.randn(8, 64)
    integers, scale = quantize(weight)
    assert (integers.T * scale[:, None] - weight).abs().max() <= (scale / 2).max() * 1.001


def test_tokens_of_four_depths(screen: Screen, images: torch.Tensor) -> None:
    with torch.no_grad():
        tokens = screen.foundation(images)
    assert len(tokens) == len(TAPS) == 4
    assert all(patches.shape == (2, 196, WIDTH) and token.shape == (2, WIDTH) for patches, token in tokens)
    assert pool(tokens).shape == (2, FEATURES)


def test_patch_shares_add_up_to_the_logit(screen: Screen, images: torch.Tensor) -> None:
    with torch.no_grad():
        logits, heat = screen.heat(images)
        torch.testing.assert_close(logits, screen(images), rtol=1e-3, atol=1e-3)
        weight, bias = screen.readout.folded()
        classes = weight.view(-1, len(TAPS), WIDTH)[-1]
        tokens = screen.foundation(images)
        rest = bias + sum(token @ column for (_, token), column in zip(tokens, classes, strict=True))
    assert heat.shape == (2, 14, 14)
    torch.testing.assert_close(heat.mean((1, 2)) + rest, logits, rtol=1e-3, atol=1e-3)


def test_only_norms_and_biases_are_tunable(screen: Screen) -> None:
    tunable = screen.foundation.tunable()
    assert len(tunable) == BLOCKS * (2 * 2 + 4) + 2
    assert all(parameter.ndim == 1 for parameter in tunable.values())
    assert 90_000 < sum(parameter.numel() for parameter in tunable.values()) < 110_000
    assert not any(parameter.requires_grad for parameter in screen.foundation.parameters())


def test_gradients_reach_every_tuned_parameter(images: torch.Tensor) -> None:
    foundation = Foundation(random_base()).half_matrices().train()
    model = Screen(foundation, Readout(torch.zeros(FEATURES), torch.ones(FEATURES)))
    tuned = foundation.tunable()
    for parameter in tuned.values():
        parameter.requires_grad_(True)
    with torch.autocast("cpu", torch.bfloat16):
        model(images).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in tuned.values())


def test_the_folded_readout_is_the_readout(screen: Screen) -> None:
    features = torch.randn(5, FEATURES)
    weight, bias = screen.readout.folded()
    torch.testing.assert_close(features @ weight + bias, screen.readout(features), rtol=1e-4, atol=1e-4)
