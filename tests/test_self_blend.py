from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interceptor.forges.masks import draw_shape, face_outline
from interceptor.forges.self_blend import self_blend

LANDMARKS = np.array([[68, 84], [156, 84], [112, 128], [76, 168], [148, 168]], np.float64)


def picture(seed: int, size: int = 224) -> np.ndarray:
    """A smooth random picture with some grain, uint8[size, size, 3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    waves = [np.sin(rng.uniform(2, 20) * x + rng.uniform(2, 20) * y + rng.uniform(0, 6)) for _ in range(3)]
    return np.clip(128 + 60 * np.stack(waves, -1) + rng.normal(0, 4, (size, size, 3)), 0, 255).astype(np.uint8)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_outside_the_mask_real_and_fake_are_bit_identical(seed: int) -> None:
    forgery = self_blend(picture(seed), LANDMARKS, np.random.default_rng(seed))
    outside = forgery.mask == 0
    assert outside.any()
    np.testing.assert_array_equal(forgery.real[outside], forgery.fake[outside])


def test_inside_the_mask_something_changed() -> None:
    changed = 0
    for seed in range(10):
        forgery = self_blend(picture(seed), LANDMARKS, np.random.default_rng(seed))
        assert forgery.fake.dtype == np.uint8
        assert forgery.fake.shape == forgery.real.shape
        changed += bool((forgery.fake != forgery.real).any())
    assert changed == 10


def test_the_same_seed_gives_the_same_forgery() -> None:
    first, second = (self_blend(picture(1), LANDMARKS, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first.fake, second.fake)
    np.testing.assert_array_equal(first.mask, second.mask)


@pytest.mark.parametrize("seed", range(5))
def test_the_mask_is_soft_within_0_and_1_and_lies_on_the_face(seed: int) -> None:
    mask = draw_shape(np.random.default_rng(seed)).render((224, 224), LANDMARKS)
    assert mask.dtype == np.float32
    assert mask.min() >= 0
    assert mask.max() <= 1
    assert len(np.unique(mask)) > 20
    y, x = np.mgrid[:224, :224]
    centre = np.array([(mask * x).sum(), (mask * y).sum()]) / mask.sum()
    assert np.abs(centre - LANDMARKS.mean(0)).max() < 50


def test_a_profile_keeps_a_face_wide_enough() -> None:
    profile = LANDMARKS.copy()
    profile[:, 0] = 112 + (profile[:, 0] - 112) * 0.1
    width = np.ptp(face_outline(profile)[:, 0])
    assert width > 0.9 * np.ptp(face_outline(profile)[:, 1]) * 0.5
