"""Each measure against scikit-learn on random and degenerate items, and the bootstrap against what theory says."""

from __future__ import annotations

import time
import warnings
from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from interceptor.metrics import classification as ours
from interceptor.metrics.bootstrap import bootstrap_intervals, figures, paired_difference, share_interval

settings.register_profile("unhurried", deadline=None)  # a busy machine is no failure
settings.load_profile("unhurried")

MEASURES = ours.RANK_MEASURES | ours.PROBABILITY_MEASURES


@st.composite
def items(draw, probabilities=False):
    """Labels of both classes, scores with many ties, and weights."""
    n = draw(st.integers(2, 60))
    labels = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    assume(0 < labels.sum() < n)
    scores = np.array(draw(st.lists(st.integers(0, 20), min_size=n, max_size=n))) / 20
    weights = np.array(draw(st.lists(st.integers(1, 5), min_size=n, max_size=n)), dtype=float)
    return labels, scores if probabilities else 7 * scores - 3, weights


@given(items())
def test_rank_measures_equal_scikit_learn(data):
    labels, scores, weights = data
    for w in (None, weights):
        assert ours.roc_auc(labels, scores, w) == pytest.approx(sk.roc_auc_score(labels, scores, sample_weight=w))
        expected = sk.average_precision_score(labels, scores, sample_weight=w)
        assert ours.average_precision(labels, scores, w) == pytest.approx(expected)
        fpr, tpr, _ = sk.roc_curve(labels, scores, sample_weight=w, drop_intermediate=False)
        # Float sums may differ in the last digit where a rate meets a step exactly; stay off the steps.
        for rate in (0.0131, 0.0517, 0.2503, 0.777):
            assert ours.tpr_at_fpr(labels, scores, rate, w) == pytest.approx(tpr[fpr <= rate].max())
        rate, _ = ours.equal_error_rate(labels, scores, w)
        # Along the curve fpr + tpr grows from 0 to 2; false alarms equal misses where it is 1.
        assert rate == pytest.approx(np.interp(1, fpr + tpr, fpr))


@given(items(probabilities=True))
def test_probability_measures_equal_scikit_learn(data):
    labels, p, weights = data
    for w in (None, weights):
        assert ours.brier(labels, p, w) == pytest.approx(sk.brier_score_loss(labels, p, sample_weight=w))
        assert ours.log_loss(labels, p, w) == pytest.approx(sk.log_loss(labels, p, sample_weight=w))
        for threshold in (0.3, 0.5):
            expected = sk.balanced_accuracy_score(labels, p >= threshold, sample_weight=w)
            assert ours.balanced_accuracy(labels, p, threshold, w) == pytest.approx(expected)
    inside = np.clip(p, 0.01, 0.99) + 0.001  # off the bins' edges, whose owner differs
    share, mean = calibration_curve(labels, inside, n_bins=15)
    counts = np.histogram(inside, np.linspace(0, 1, 16))[0]
    expected = np.sum(counts[counts > 0] * np.abs(share - mean)) / len(p)
    assert ours.expected_calibration_error(labels, inside) == pytest.approx(expected)


@given(items(probabilities=True))
def test_whole_weights_are_repetitions(data):
    labels, p, weights = data
    repeat = weights.astype(int)
    for measure in MEASURES.values():
        weighted = measure(labels.astype(bool), p, weights[None])
        repeated = measure(np.repeat(labels, repeat).astype(bool), np.repeat(p, repeat), np.ones((1, repeat.sum())))
        assert weighted == pytest.approx(repeated)


@given(items())
def test_threshold_of_the_equal_error_rate_lies_between_the_scores_on_either_side(data):
    labels, scores, _ = data
    rate, threshold = ours.equal_error_rate(labels, scores)
    upper, lower = scores[scores >= threshold].min(), scores[scores <= threshold].max()
    for c, error in ((0, rate), (1, 1 - rate)):
        of_class = scores[labels == c]
        assert np.mean(of_class > upper) - 1e-9 <= error <= np.mean(of_class >= lower) + 1e-9


def test_perfect_reversed_and_constant_scores():
    labels = [0, 0, 1, 1]
    assert ours.roc_auc(labels, [1, 2, 3, 4]) == 1
    assert ours.roc_auc(labels, [4, 3, 2, 1]) == 0
    assert ours.roc_auc(labels, [5, 5, 5, 5]) == 0.5
    assert ours.equal_error_rate(labels, [1, 2, 3, 4]) == (0, 3)
    assert ours.equal_error_rate(labels, [4, 3, 2, 1])[0] == 1
    assert ours.equal_error_rate(labels, [5, 5, 5, 5]) == (0.5, 5)
    assert ours.average_precision(labels, [5, 5, 5, 5]) == 0.5
    assert ours.tpr_at_fpr(labels, [5, 5, 5, 5], 0.05) == 0
    assert ours.expected_calibration_error(labels, [0, 0, 1, 1]) == 0
    assert ours.expected_calibration_error(labels, [1, 1, 0, 0]) == 1


def test_step_convention_counts_a_rate_met_exactly():
    labels = [0] * 20 + [1] * 2
    scores = [*range(19), 50, 40, 60]  # one authentic item, 5 %, lies above the lower of the forged ones
    assert ours.tpr_at_fpr(labels, scores, 0.05) == 1
    assert ours.tpr_at_fpr(labels, scores, 0.049) == 0.5


def test_measures_defined_on_one_class():
    assert ours.brier([0, 0], [0.1, 0.3]) == pytest.approx(0.05)
    assert ours.expected_calibration_error([1, 1], [0.9, 0.9]) == pytest.approx(0.1)
    assert ours.log_loss([1], [0.5]) == pytest.approx(np.log(2))


RANKED = [ours.roc_auc, ours.average_precision, ours.equal_error_rate, partial(ours.tpr_at_fpr, fpr=0.1)]
PROBABLE = [ours.brier, ours.log_loss, ours.expected_calibration_error]


@pytest.mark.parametrize("measure", [*RANKED, ours.balanced_accuracy])
@pytest.mark.parametrize(("label", "missing"), [(0, "forged"), (1, "authentic")])
def test_one_class_is_an_error_where_both_are_needed(measure, label, missing):
    with pytest.raises(ValueError, match=f"no {missing} items"):
        measure([label, label], [0.2, 0.7])


@pytest.mark.parametrize("measure", [*RANKED, *PROBABLE, ours.balanced_accuracy])
def test_bad_input_is_an_error_that_says_so(measure):
    with pytest.raises(ValueError, match="no items"):
        measure([], [])
    with pytest.raises(ValueError, match="1 of 2 scores are not finite"):
        measure([0, 1], [0.1, np.nan])
    with pytest.raises(ValueError, match="labels must be 0"):
        measure([0, 2], [0.1, 0.2])
    with pytest.raises(ValueError, match="one length"):
        measure([0, 1], [0.1])
    with pytest.raises(ValueError, match="weights"):
        measure([0, 1], [0.1, 0.2], weights=[-1, 1])


@pytest.mark.parametrize("measure", [*PROBABLE, ours.balanced_accuracy])
def test_logits_are_not_taken_for_probabilities(measure):
    with pytest.raises(ValueError, match=r"lie in 0\.\.1"):
        measure([0, 1], [-3.0, 2.0])


def sample(n=400, shift=1.5, seed=1):
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], n // 2)
    return labels, rng.normal(shift * labels)


def test_interval_has_the_width_that_theory_gives():
    labels, scores = sample(2000)
    (low, high) = bootstrap_intervals({"auc": ours.RANK_MEASURES["auc"]}, labels, scores)["auc"]
    auc = ours.roc_auc(labels, scores)
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)  # Hanley & McNeil 1982
    error = np.sqrt((auc * (1 - auc) + 999 * (q1 - auc**2) + 999 * (q2 - auc**2)) / 1000**2)
    assert low < auc < high
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_draws_are_stratified_seeded_and_independent_of_chunks(monkeypatch):
    labels, scores = sample(60)
    first = bootstrap_intervals(ours.RANK_MEASURES, labels, scores, draws=300, seed=4)
    assert first == bootstrap_intervals(ours.RANK_MEASURES, labels, scores, draws=300, seed=4)
    assert first != bootstrap_intervals(ours.RANK_MEASURES, labels, scores, draws=300, seed=5)
    share = {"share": lambda truth, _, w: w @ truth / w.sum(axis=1)}
    assert bootstrap_intervals(share, labels, scores)["share"] == (0.5, 0.5)
    monkeypatch.setattr("interceptor.metrics.bootstrap.CHUNK", 60 * 7)
    chunked = bootstrap_intervals(share | ours.RANK_MEASURES, labels, scores, draws=1000)
    assert chunked["auc"].low == pytest.approx(first["auc"].low, abs=0.05)


def test_items_of_a_cluster_are_drawn_together():
    labels, scores = sample(80)
    copies, clusters = 9, np.repeat(np.arange(80), 9).tolist()
    auc = {"auc": ours.RANK_MEASURES["auc"]}
    single = bootstrap_intervals(auc, labels, scores)["auc"]
    together = bootstrap_intervals(auc, labels.repeat(copies), scores.repeat(copies), clusters=clusters)["auc"]
    apart = bootstrap_intervals(auc, labels.repeat(copies), scores.repeat(copies))["auc"]
    assert together == pytest.approx(single, abs=0.02)
    assert apart.high - apart.low < 0.5 * (together.high - together.low)


def test_clusters_of_both_classes_keep_both_in_every_draw():
    labels, scores = [0, 1] * 3, [0.0, 1, 2, 3, 1, 0]
    interval = bootstrap_intervals({"auc": ours.RANK_MEASURES["auc"]}, labels, scores, clusters=[*"aabbcc"])["auc"]
    assert 0 <= interval.low <= interval.high <= 1
    with pytest.raises(ValueError, match="2 clusters named for 6 items"):
        bootstrap_intervals(ours.RANK_MEASURES, labels, scores, clusters=["a", "b"])


def test_paired_difference_sees_what_separate_intervals_do_not():
    labels, scores = sample(400, shift=1.0)
    better = scores + 0.3 * labels
    auc = ours.RANK_MEASURES["auc"]
    found = paired_difference(auc, labels, better, scores)
    assert found.value == pytest.approx(ours.roc_auc(labels, better) - ours.roc_auc(labels, scores))
    assert 0 < found.low < found.value < found.high
    assert found.p < 0.01
    apart = [bootstrap_intervals({"auc": auc}, labels, s)["auc"] for s in (better, scores)]
    assert apart[0].low < apart[1].high
    same = paired_difference(auc, labels, scores, scores)
    assert same[:3] == (0, 0, 0)
    assert same.p == 1


def test_figures_of_a_validation_set_take_seconds_at_most():
    labels, scores = sample(1552)
    begin = time.perf_counter()
    found = figures(labels, scores, 1 / (1 + np.exp(-scores)))
    assert time.perf_counter() - begin < 5
    assert set(found.values) == set(found.intervals) == set(MEASURES)
    for name, value in found.values.items():
        low, high = found.intervals[name]
        # ECE is biased upwards by resampling, so its interval may lie above it.
        assert low <= value <= high or name == "ece"
    assert found.as_dict()["intervals"]["auc"] == list(found.intervals["auc"])


def test_figures_of_one_class_say_what_is_undefined():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = figures([0, 0, 0], [1.0, 2, 3], [0.1, 0.2, 0.3], draws=50)
    assert found.values["auc"] is None
    assert found.intervals["eer"] is None
    assert found.values["brier"] == pytest.approx(0.14 / 3)
    assert found.notes == [
        "only authentic items were scored; undefined there: auc, ap, eer, tpr_at_fpr_05, balanced_accuracy"
    ]


@settings(max_examples=30)
@given(st.integers(1, 500), st.floats(0, 1))
def test_share_interval_equals_scipy(n, share):
    count = round(n * share)
    expected = binomtest(count, n).proportion_ci(0.95, method="wilson")
    assert share_interval(count, n) == pytest.approx((expected.low, expected.high), abs=1e-9)
    with pytest.raises(ValueError, match="not a share"):
        share_interval(1, 0)
