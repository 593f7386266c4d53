from __future__ import annotations

import numpy as np
import pytest

from interceptor.forges import codecs
from interceptor.training import augment
from test_self_blend import picture


@pytest.mark.parametrize("crf", [23, 40])
def test_h264_is_a_real_reencode_and_worse_at_a_higher_rate_factor(crf: int) -> None:
    image = picture(0)
    coded = codecs.h264(image, crf)
    assert coded.shape == image.shape
    assert coded.dtype == np.uint8
    error = np.abs(coded.astype(int) - image).mean()
    assert 0.2 < error < 25
    assert np.abs(codecs.h264(image, 18).astype(int) - image).mean() < error


def test_a_pair_suffers_the_same() -> None:
    """Pixels that were equal before the augmentation stay equal under one draw of it (codecs spread a change, so they
    are local).
    """
    image = picture(1)
    for seed in range(30):
        step = augment.draw(np.random.default_rng(seed), 224)
        np.testing.assert_array_equal(step(image), step(image.copy()))


def test_draws_differ_and_keep_shape_and_type() -> None:
    image = picture(2)
    results = [augment.draw(np.random.default_rng(seed), 224)(image) for seed in range(20)]
    assert all(result.shape == image.shape and result.dtype == np.uint8 for result in results)
    assert len({result.tobytes() for result in results}) > 15
