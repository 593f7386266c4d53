"""The measures of localisation against scikit-learn and SciPy, and on worked examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment
from sklearn import metrics as sk

from interceptor.metrics.classification import expected_calibration_error
from interceptor.metrics.instances import assignment, f1_matrix, of1
from interceptor.metrics.masks import (
    by_area_quartile,
    calibration_gaps,
    mean_calibration_error,
    overlap,
    pixel_ranking,
)

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

sizes = st.tuples(st.integers(1, 8), st.integers(1, 8))


@st.composite
def maps(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A mask with something forged, and a probability map with ties."""
    shape = draw(sizes)
    truth = draw(arrays(bool, shape))
    assume(truth.any())
    return truth, draw(arrays(np.int64, shape, elements=st.integers(0, 20))).astype(np.float32) / 20


@given(maps())
def test_overlap_equals_scikit_learn(data: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probability = data
    called = probability >= 0.5
    found, pair = overlap(truth, called), (truth.ravel(), called.ravel())
    assert found.f1 == pytest.approx(sk.f1_score(*pair, zero_division=0))
    assert found.iou == pytest.approx(sk.jaccard_score(*pair, zero_division=0))
    assert found.recall == pytest.approx(sk.recall_score(*pair))
    assert found.precision == pytest.approx(sk.precision_score(*pair, zero_division=0))


@given(maps())
def test_pixel_ranking_equals_scikit_learn(data: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probability = data
    assume(not truth.all())
    ap, auc = pixel_ranking(truth, probability)
    assert ap == pytest.approx(sk.average_precision_score(truth.ravel(), probability.ravel()))
    assert auc == pytest.approx(sk.roc_auc_score(truth.ravel(), probability.ravel()))


@given(maps())
def test_calibration_of_one_picture_is_that_of_its_pixels(data: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probability = data
    expected = expected_calibration_error(truth.ravel(), probability.ravel())
    assert mean_calibration_error([calibration_gaps(truth, probability)]) == pytest.approx(expected)


def test_pictures_count_the_same_in_the_calibration_error() -> None:
    small, large = np.ones((1, 1), bool), np.zeros((100, 100), bool)
    gaps = [calibration_gaps(mask, np.full(mask.shape, 0.7)) for mask in (small, large)]
    assert mean_calibration_error(gaps) == pytest.approx(abs((1 - 0.7) + (0 - 0.7)) / 2)


def test_overlap_by_hand() -> None:
    truth, called = np.zeros((2, 10, 10), bool)
    truth[:2], called[1:4] = True, True  # 20 forged, 30 called, 10 of them rightly
    assert overlap(truth, called) == pytest.approx((0.4, 0.25, 1 / 3, 0.5))
    assert overlap(truth, np.zeros_like(truth)) == (0, 0, 0, 0)
    assert overlap(truth, truth) == (1, 1, 1, 1)


def test_what_is_undefined_is_an_error() -> None:
    nothing, everything, half = np.zeros((2, 2), bool), np.ones((2, 2), bool), np.full((2, 2), 0.5)
    with pytest.raises(ValueError, match="nothing is forged"):
        overlap(nothing, everything)
    for one_class, missing in ((nothing, "no forged"), (everything, "no authentic")):
        with pytest.raises(ValueError, match=missing):
            pixel_ranking(one_class, half)
    with pytest.raises(ValueError, match="one size"):
        overlap(everything, np.ones((2, 3), bool))
    with pytest.raises(ValueError, match="booleans"):
        overlap(everything, half)
    for wrong in (np.nan, 1.5, -0.1):
        with pytest.raises(ValueError, match=r"0\.\.1"):
            pixel_ranking(np.eye(2, dtype=bool), np.full((2, 2), wrong))
    with pytest.raises(ValueError, match="no pictures"):
        mean_calibration_error([])


def test_quartiles_go_from_small_to_large() -> None:
    areas = np.arange(8, 0, -1) / 10
    found = by_area_quartile(areas, {"f1": areas})
    assert [entry["n"] for entry in found] == [2, 2, 2, 2]
    assert [entry["f1"] for entry in found] == pytest.approx([0.15, 0.35, 0.55, 0.75])
    assert found[0]["area"] == [0.1, 0.2]
    assert len(by_area_quartile([0.1, 0.2], {})) == 2


@given(arrays(np.float64, sizes, elements=st.integers(0, 10).map(float)))
def test_assignment_is_optimal(gains: np.ndarray) -> None:
    pairs = assignment(gains)
    rows, columns = zip(*pairs, strict=True)
    assert len(pairs) == len(set(rows)) == len(set(columns)) == min(gains.shape)
    best = gains[linear_sum_assignment(gains, maximize=True)].sum()
    assert sum(gains[pair] for pair in pairs) == pytest.approx(best)


@pytest.mark.parametrize("shape", [(3, 200), (40, 40), (90, 7)])
def test_assignment_of_real_numbers_is_optimal(shape: tuple[int, int]) -> None:
    gains = np.random.default_rng(0).normal(size=shape)
    best = gains[linear_sum_assignment(gains, maximize=True)].sum()
    assert sum(gains[pair] for pair in assignment(gains)) == pytest.approx(best)


def test_assignment_refuses_what_is_no_matrix() -> None:
    with pytest.raises(ValueError, match="matrix"):
        assignment(np.full((2, 2), np.nan))
    assert assignment(np.zeros((0, 3))) == []


@given(arrays(bool, (3, 4, 4)), arrays(bool, (2, 4, 4)))
def test_of1_equals_the_contests_formula_written_out(truth: np.ndarray, found: np.ndarray) -> None:
    truth, found = (planes[planes.any((1, 2))] for planes in (truth, found))
    assume(len(truth) and len(found))
    matrix = np.array([[sk.f1_score(t.ravel(), f.ravel(), zero_division=0) for f in found] for t in truth])
    np.testing.assert_allclose(f1_matrix(truth, found), matrix)
    mean = matrix[linear_sum_assignment(matrix, maximize=True)].mean()
    # The contest takes the mean over the assigned pairs and penalises surplus instances; misses are penalised alike.
    expected = mean * min(matrix.shape) / max(matrix.shape)
    assert of1(truth, found) == pytest.approx(expected)


def test_of1_on_worked_examples() -> None:
    one, two = np.zeros((2, 6, 6), bool)
    one[:2], two[4:] = True, True
    none = np.zeros((0, 6, 6), bool)
    assert of1(none, none) == 1
    assert of1(none, np.zeros((3, 6, 6), bool)) == 1  # planes without a pixel are no instances
    assert of1(none, one[None]) == of1(one[None], none) == 0
    assert of1(np.stack([one, two]), one[None]) == 0.5  # one right prediction where two are true
    assert of1(one[None], np.stack([two, one])) == 0.5
    assert of1(np.stack([one, two]), np.stack([two, one])) == 1
    with pytest.raises(ValueError, match="one picture"):
        of1(one[None], np.zeros((1, 5, 6), bool))
    with pytest.raises(ValueError, match=r"\[n, H, W\]"):
        of1(one, one)
