"""Platt scaling against scikit-learn and a direct optimum; thresholds against the promise they make."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.calibration import _SigmoidCalibration

from interceptor.metrics.calibration import (
    RATES,
    Platt,
    RiskCurve,
    fit_platt,
    risk_curve,
    threshold_at_fpr,
    threshold_at_miss_rate,
    thresholds_across_sources,
)
from interceptor.metrics.classification import expected_calibration_error

settings.register_profile("unhurried", deadline=None)  # a busy machine is no failure
settings.load_profile("unhurried")


def sample(n, seed=0, scale=1.0, offset=0.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    labels[:2] = 0, 1
    return scale * rng.normal(2 * labels - 1) + offset, labels


@settings(max_examples=30)
@given(st.integers(4, 300), st.integers(0, 1000), st.floats(0.1, 10), st.floats(-20, 20))
def test_platt_equals_scikit_learn(n, seed, scale, offset):
    logits, labels = sample(n, seed, scale, offset)
    reference = _SigmoidCalibration().fit(logits, labels)
    probabilities = fit_platt(logits, labels).apply(logits)
    assert probabilities == pytest.approx(reference.predict(logits), abs=2e-3)


def test_weighted_platt_is_the_optimum_of_its_weighted_loss():
    logits, labels = sample(200)
    weights = np.random.default_rng(1).exponential(size=200)
    effective = [weights[labels == c].sum() ** 2 / (weights[labels == c] ** 2).sum() for c in (0, 1)]
    target = np.where(labels == 1, (effective[1] + 1) / (effective[1] + 2), 1 / (effective[0] + 2))

    def loss(theta):
        z = theta[0] * logits + theta[1]
        return np.average(np.logaddexp(0, z) - target * z, weights=weights)

    expected = minimize(loss, [1.0, 0.0], tol=1e-12).x
    assert fit_platt(logits, labels, weights) == pytest.approx(expected, abs=1e-4)
    assert fit_platt(logits, labels, 5 * weights) == pytest.approx(fit_platt(logits, labels, weights))


def test_platt_mends_an_overconfident_model():
    rng = np.random.default_rng(3)
    true = rng.normal(0, 2, 4000)
    labels = rng.random(4000) < Platt(1, 0).apply(true)
    overconfident = 5 * true + 3
    fit = fit_platt(overconfident, labels)
    assert fit == pytest.approx((0.2, -0.6), abs=0.05)
    assert expected_calibration_error(labels, Platt(1, 0).apply(overconfident)) > 0.1
    assert expected_calibration_error(labels, fit.apply(overconfident)) < 0.03


def test_platt_stays_finite_on_separable_constant_and_extreme_logits():
    separable = fit_platt([-2, -1, 1, 2], [0, 0, 1, 1])
    assert 0 < separable.slope < 10
    assert separable.apply([-2.0, 2.0]) == pytest.approx([1 / 4, 3 / 4], abs=0.1)
    constant = fit_platt([0.1] * 4, [0, 1, 1, 1])
    assert constant.apply(0.1) == pytest.approx((3 * 4 / 5 + 1 / 3) / 4)
    assert Platt(1, 0).apply([-1e4, 1e4]).tolist() == [0, 1]
    assert fit_platt([1.0, 2, -1, -2], [0, 0, 1, 1]).slope < 0


def test_platt_refuses_what_it_cannot_fit():
    with pytest.raises(ValueError, match="both classes"):
        fit_platt([1.0, 2.0], [1, 1])
    with pytest.raises(ValueError, match="both classes"):
        fit_platt([1.0, 2.0], [0, 1], [1, 0])
    with pytest.raises(ValueError, match="finite"):
        fit_platt([1.0, np.inf], [0, 1])
    with pytest.raises(ValueError, match="weights"):
        fit_platt([1.0, 2.0], [0, 1], [1, -1])


finite = st.floats(-50, 50).map(lambda x: round(x, 1))  # rounded: ties are wanted
rates = st.sampled_from([0.01, 0.05, 0.1, 0.25, 0.5])


@given(st.lists(finite, min_size=1, max_size=200), rates)
def test_threshold_keeps_its_rate_on_its_own_scores(logits, rate):
    x = np.array(logits)
    threshold = threshold_at_fpr(x, rate)
    assert np.mean(x >= threshold.logit) <= rate
    assert threshold.n == len(x)
    assert threshold.supported == (len(x) >= 1 / rate - 1)
    if not threshold.supported:
        assert not (x >= threshold.logit).any()
    mirrored = threshold_at_miss_rate(-x, rate)
    assert mirrored.logit == -threshold.logit
    assert np.mean(-x <= mirrored.logit) <= rate


def test_threshold_keeps_its_rate_on_new_scores_of_the_same_kind():
    rng = np.random.default_rng(0)
    flagged = []
    for _ in range(3000):
        x = rng.normal(size=40)
        flagged.append(x[0] >= threshold_at_fpr(x[1:], 0.05).logit)
    assert np.mean(flagged) == pytest.approx(0.05, abs=0.012)


def test_known_threshold():
    assert threshold_at_fpr(np.arange(1, 20), 0.05).logit == pytest.approx(19)
    assert threshold_at_fpr(np.arange(1, 40), 0.05).logit == pytest.approx(38)
    for bad in (0, 1, -0.1, np.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            threshold_at_fpr([1.0], bad)
    with pytest.raises(ValueError, match="at least one finite"):
        threshold_at_fpr([], 0.05)


sources = st.dictionaries(st.sampled_from("abcde"), st.lists(finite, min_size=1, max_size=60), min_size=1)


@given(sources, rates)
def test_across_sources_reports_what_its_thresholds_do(logits, rate):
    found = thresholds_across_sources(logits, rate)
    for name, x in logits.items():
        entry = found.sources[name]
        assert entry.n == len(x)
        assert entry.rate == np.mean(np.array(x) >= found.threshold)
        if len(logits) == 1:
            assert entry.rate_without is entry.threshold_without is found.worst_rate is None
        else:
            others = {other: y for other, y in logits.items() if other != name}
            assert entry.threshold_without == thresholds_across_sources(others, rate).threshold
            assert entry.rate_without == np.mean(np.array(x) >= entry.threshold_without)
            assert found.worst_rate >= entry.rate_without
    mirrored = thresholds_across_sources({name: [-v for v in x] for name, x in logits.items()}, rate, "authentic")
    assert mirrored.threshold == -found.threshold
    assert {n: s.rate for n, s in mirrored.sources.items()} == {n: s.rate for n, s in found.sources.items()}


def test_a_large_shifted_source_decides_and_an_odd_file_does_not():
    rng = np.random.default_rng(0)
    calm = {f"calm{i}": rng.normal(size=400) for i in range(4)}
    base = thresholds_across_sources(calm, 0.05).threshold
    shifted = thresholds_across_sources(calm | {"shifted": rng.normal(2, 1, 400)}, 0.05)
    assert shifted.worst_source == "shifted"
    assert shifted.worst_rate > 0.5
    assert shifted.sources["shifted"].rate < 0.06
    assert shifted.threshold > base + 1.5
    odd = thresholds_across_sources(calm | {"three": [0.0, 0.5, 8.0]}, 0.05)
    assert odd.threshold < base + 0.5


def test_across_sources_errors_name_the_source():
    with pytest.raises(ValueError, match="source 'b'"):
        thresholds_across_sources({"a": [1.0], "b": []}, 0.05)
    with pytest.raises(ValueError, match="no sources"):
        thresholds_across_sources({}, 0.05)


@given(sources)
def test_risk_curve_is_monotone_and_survives_json(logits):
    for side, direction in (("forged", -1), ("authentic", 1)):
        curve = risk_curve(logits, side=side)
        assert (direction * np.diff(curve.thresholds) >= 0).all()
        assert curve.smallest_supported_rate == 1 / (1 + sum(map(len, logits.values())))
        stored = RiskCurve(**json.loads(json.dumps(asdict(curve))))
        for rate, threshold in zip(RATES, curve.thresholds, strict=True):
            assert stored.interpolate(rate) == pytest.approx(threshold)


def test_risk_curve_interpolates_between_and_refuses_outside():
    curve = RiskCurve((0.01, 0.1), (3.0, 1.0), 0.001)
    assert curve.interpolate(0.1**1.5) == pytest.approx(2)
    for rate in (0.009, 0.11, float("nan")):
        with pytest.raises(ValueError, match=r"choose 0\.01 to 0\.1"):
            curve.interpolate(rate)


def pooled(sources, rate):
    return threshold_at_fpr(np.concatenate(list(sources.values())), rate).logit


def strictest(sources, rate):
    return max(threshold_at_fpr(x, rate).logit for x in sources.values())


def chosen(sources, rate):
    return risk_curve(sources, (rate,)).thresholds[0]


@pytest.mark.parametrize("shift", [0.3, 1.0])
def test_the_rule_on_simulated_sources(shift):
    """Ten sources of unlike sizes; normal scores that differ in place (s.d. `shift`) and width (20 %); a stated 5 %."""
    rng = np.random.default_rng(0)
    sizes = (751, 348, 345, 345, 342, 42, 32, 6, 3, 3)
    measured = {rule: [] for rule in (pooled, strictest, chosen)}
    for _ in range(100):
        places, widths = rng.normal(0, shift, (2, 10)), np.exp(rng.normal(0, 0.2, (2, 10)))
        known = {str(i): rng.normal(places[0, i], widths[0, i], n) for i, n in enumerate(sizes)}
        of_sources = rng.normal(places[..., None], widths[..., None], (2, 10, 1000))
        forged = rng.normal(3, 1.2, 2000)
        for rule, rows in measured.items():
            threshold = rule(known, 0.05)
            rate = (of_sources >= threshold).mean(axis=2)
            rows.append([rate[0].max(), rate[1].mean(), rate[1].max(), (forged >= threshold).mean()])
    means = {rule.__name__: np.mean(rows, axis=0) for rule, rows in measured.items()}
    print(f"\nshift {shift}: worst of the ten sources, mean and worst of ten new ones, forged found")
    for name, values in means.items():
        print(f"{name:9}", *(f"{value:6.1%}" for value in values))
    assert means["chosen"][0] < 0.5 * means["pooled"][0]
    assert means["chosen"][1] < 0.05
    assert means["chosen"][3] > means["strictest"][3] + 0.05
