from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interceptor.metrics.classification import roc_auc
from interceptor.metrics.gates import Gate
from interceptor.metrics.stacking import STRENGTHS, Stack, _fit, fit_stack, source_folds, source_weights

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def matrix(strengths: tuple[float, ...], seed: int = 0, sources: int = 8, each: int = 40) -> Arrays:
    """Scores [n, members] that lie `strength` apart for the two classes, labels, sources (each of one class)."""
    rng = np.random.default_rng(seed)
    source = np.repeat(np.arange(2 * sources), each)
    labels = (source % 2).astype(int)
    scores = rng.normal(size=(source.size, len(strengths))) + labels[:, None] * np.array(strengths)
    return scores, labels, source


def test_a_useless_member_gets_no_weight_to_speak_of() -> None:
    scores, labels, sources = matrix((2.0, 2.0, 0.0))
    stack = fit_stack(scores, labels, sources, ("a", "b", "noise"))
    # Its weight counts calibrated log-odds: what it adds is the spread of weight times log-odds.
    each = np.nan_to_num(stack.member_log_odds(scores)) * stack.weights
    assert each[:, 2].std() < 0.05 * each[:, 0].std()


def test_a_member_that_points_the_wrong_way_is_left_out() -> None:
    scores, labels, sources = matrix((2.0, -2.0))
    stack = fit_stack(scores, labels, sources, ("right", "wrong"))
    assert stack.weights[1] == 0
    assert "wrong" not in stack.calibrations
    with pytest.raises(ValueError, match="no member"):
        fit_stack(scores[:, 1:], labels, sources, ("wrong",))


def test_a_member_that_knows_one_source_only_does_not_win() -> None:
    scores, labels, sources = matrix((2.0, 0.0), sources=6)
    large = sources == 1  # one generator with ten times the files of any other, which the second member always knows
    scores = np.concatenate([scores, np.repeat(scores[large], 9, axis=0)])
    labels, sources = np.append(labels, np.ones(9 * 40, int)), np.append(sources, np.ones(9 * 40, int))
    scores[:, 1] += 6.0 * (sources == 1)
    stack = fit_stack(scores, labels, sources, ("everywhere", "one source"))
    fresh, truth, _ = matrix((2.0, 0.0), seed=1)
    assert roc_auc(truth, stack.log_odds(fresh)) > roc_auc(truth, fresh[:, 0]) - 0.02
    unbalanced = roc_auc(labels, scores[:, 1])
    assert unbalanced > 0.8  # counted by file it would have been a fine member


DARK = Gate("luma", 70.0, above=False)
BRIGHT = Gate("luma", 70.0, above=True)


def by_light(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """One member that sees the same everywhere, and one that sees well in the dark and worse than nothing in light."""
    scores, labels, sources = matrix((1.0, 0.0), seed=seed)
    luma = np.random.default_rng(seed).uniform(20, 120, len(labels))
    scores[:, 1] += labels * np.where(luma < 70, 2.5, -1.0)
    return scores, labels, sources, {"luma": luma}


def test_a_gate_that_pays_is_taken_and_lets_the_member_count_where_it_sees() -> None:
    scores, labels, sources, quality = by_light(0)
    members = ("plain", "dark")
    gates = {"dark": [BRIGHT, DARK]}
    stack = fit_stack(scores, labels, sources, members, incumbent="plain", quality=quality, gates=gates)
    assert stack.gates == {"dark": DARK}
    fresh, truth, _, light = by_light(1)
    without = fit_stack(scores, labels, sources, members)
    assert roc_auc(truth, stack.log_odds(fresh, light)) > roc_auc(truth, without.log_odds(fresh)) + 0.05
    shares = stack.shares(fresh, light)
    assert (shares[light["luma"] > 70] == [1, 0]).all()
    assert (shares[light["luma"] < 70, 1] > 0.3).all()
    assert (stack.shares(fresh) == [1, 0]).all(), "an unknown measure opens no gate"
    assert (stack.shares(fresh, {"luma": np.full(len(truth), np.nan)}) == [1, 0]).all()
    again = Stack.from_dict(json.loads(json.dumps(stack.as_dict())))
    np.testing.assert_array_equal(again.log_odds(fresh, light), stack.log_odds(fresh, light))


@pytest.mark.parametrize("seed", range(4))
def test_what_adds_nothing_to_a_good_member_does_not_come_in(seed: int) -> None:
    scores, labels, sources = matrix((1.5, 0.0, 0.0), seed=seed)
    quality = {"luma": np.random.default_rng(seed).uniform(20, 120, len(labels))}
    gates = {name: [BRIGHT, DARK] for name in ("b", "c")}
    stack = fit_stack(scores, labels, sources, ("a", "b", "c"), incumbent="a", quality=quality, gates=gates)
    assert stack.gates == {}
    assert stack.weights == (1.0, 0.0, 0.0)
    np.testing.assert_allclose(stack.log_odds(scores), scores[:, 0])


def test_what_adds_to_a_good_member_comes_in() -> None:
    scores, labels, sources = matrix((1.0, 1.0, 0.0))
    stack = fit_stack(scores, labels, sources, ("a", "b", "c"), incumbent="a")
    assert [weight > 0 for weight in stack.weights] == [True, True, False]


def test_a_fit_does_not_end_where_nobody_counts() -> None:
    """Log-odds far from what the items ask for: the first step overshoots to where no weight has a slope."""
    scores, labels, _ = matrix((4.0,))
    wide = 4 * scores - 20
    weights, offset = _fit(wide, labels == 1, np.full(len(labels), 1 / len(labels)), 1e-2)
    assert weights[0] > 0.1
    assert np.mean((wide[:, 0] * weights[0] + offset > 0) == labels) > 0.95


def test_better_members_weigh_more_and_the_stack_beats_them() -> None:
    scores, labels, sources = matrix((0.7, 1.0, 1.5), each=100)
    stack = fit_stack(scores, labels, sources, ("a", "b", "c"))
    fresh, truth, _ = matrix((0.7, 1.0, 1.5), seed=1, each=100)
    effect = (np.nan_to_num(stack.member_log_odds(fresh)) * stack.weights).std(axis=0)
    assert effect[0] < effect[1] < effect[2]
    assert roc_auc(truth, stack.log_odds(fresh)) > roc_auc(truth, fresh[:, 2]) + 0.02


def test_absent_members_drop_out_and_the_rest_take_their_share() -> None:
    scores, labels, sources = matrix((1.5, 1.5, 1.5))
    stack = fit_stack(scores, labels, sources, ("a", "b", "c"))
    row = scores[:1].copy()
    np.testing.assert_allclose(stack.shares(row).sum(), 1)
    row[0, 1] = np.nan
    log_odds, w = stack.member_log_odds(row)[0], np.array(stack.weights)
    expected = stack.offset + w.sum() * (w[0] * log_odds[0] + w[2] * log_odds[2]) / (w[0] + w[2])
    assert stack.log_odds(row)[0] == pytest.approx(expected)
    np.testing.assert_allclose(stack.shares(row)[0], [w[0] / (w[0] + w[2]), 0, w[2] / (w[0] + w[2])])
    row[:] = np.nan
    assert np.isnan(stack.log_odds(row)).all()
    assert not stack.shares(row).any()


def test_scores_missing_at_random_cost_little() -> None:
    scores, labels, sources = matrix((1.5, 1.5, 1.5, 0.0), each=100)
    scores[np.random.default_rng(2).random(scores.shape) < 0.3] = np.nan
    stack = fit_stack(scores, labels, sources, ("a", "b", "c", "d"))
    fresh, truth, _ = matrix((1.5, 1.5, 1.5, 0.0), seed=3)
    assert roc_auc(truth, stack.log_odds(fresh)) > roc_auc(truth, fresh.sum(axis=1)) - 0.01


def test_a_monotone_change_of_a_member_changes_nothing() -> None:
    """Ranks count, so a member that saturates is as good as its order."""
    scores, labels, sources = matrix((1.5, 1.0))
    bent = scores.copy()
    bent[:, 0] = np.exp(3 * scores[:, 0])
    stacks = [fit_stack(table, labels, sources, ("a", "b")) for table in (scores, bent)]
    first, second = stacks[0].log_odds(scores), stacks[1].log_odds(bent)
    assert np.abs(first - second).max() < 0.1 * first.std()


def test_infinite_shrinkage_is_equal_weights_and_none_is_not() -> None:
    scores, labels, sources = matrix((1.0, 2.0, 0.5))
    weights = source_weights(labels, sources)
    equal, _ = _fit(scores, labels.astype(bool), weights, STRENGTHS[-1])
    free, _ = _fit(scores, labels.astype(bool), weights, 0.0)
    np.testing.assert_allclose(equal, equal.mean(), rtol=1e-2)
    assert np.ptp(free) > 0.5


def test_unpenalised_weights_are_the_logistic_regression() -> None:
    """Where all are positive and none abstains; against Newton's method on the plain model."""
    scores, labels, sources = matrix((1.0, 2.0, 0.5))
    w, offset = _fit(scores, labels.astype(bool), source_weights(labels, sources), 0.0)
    design = np.column_stack([scores, np.ones(len(scores))])
    p = 1 / (1 + np.exp(-(scores @ w + offset)))
    assert np.abs(design.T @ (p - labels)).max() / len(labels) < 1e-4


def test_few_sources_leave_weights_equal() -> None:
    scores, labels, sources = matrix((2.0, 0.2), sources=3)
    stack = fit_stack(scores, labels, sources, ("a", "b"))
    assert stack.strength == STRENGTHS[-1]
    assert stack.weights[0] == pytest.approx(stack.weights[1], rel=0.05)


def test_the_fit_is_deterministic_and_survives_json() -> None:
    scores, labels, sources = matrix((1.0, 0.7))
    scores[::7, 1] = np.nan
    stack = fit_stack(scores, labels, sources, ("a", "b"))
    assert stack == fit_stack(scores, labels, sources, ("a", "b"))
    again = Stack.from_dict(json.loads(json.dumps(stack.as_dict())))
    np.testing.assert_array_equal(again.log_odds(scores), stack.log_odds(scores))


def test_probabilities_are_calibrated_on_fresh_files() -> None:
    scores, labels, sources = matrix((1.0, 1.0), each=200)
    stack = fit_stack(scores, labels, sources, ("a", "b"))
    fresh, truth, _ = matrix((1.0, 1.0), seed=5, each=200)
    p = 1 / (1 + np.exp(-stack.log_odds(fresh)))
    for low in (0.1, 0.3, 0.5, 0.7):
        inside = (p >= low) & (p < low + 0.2)
        assert truth[inside].mean() == pytest.approx(p[inside].mean(), abs=0.08)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).filter(any), min_size=4, max_size=30), st.integers(2, 6)
)
def test_folds_keep_sources_whole_and_both_classes_in_each(sizes: list[tuple[int, int]], folds: int) -> None:
    labels = np.concatenate([np.repeat([0, 1], counts) for counts in sizes])
    sources = np.repeat(np.arange(len(sizes)), [sum(counts) for counts in sizes])
    if min(sum(counts[kind] > 0 for counts in sizes) for kind in (0, 1)) < folds:
        with pytest.raises(ValueError, match="folds"):
            source_folds(labels, sources, folds)
        return
    fold = source_folds(labels, sources, folds)
    for source in np.unique(sources):
        assert np.unique(fold[sources == source]).size == 1
    for f in range(folds):
        assert set(labels[fold == f]) == {0, 1}


def test_sources_may_hold_both_classes() -> None:
    scores, labels, sources = matrix((2.0, 0.5))
    stack = fit_stack(scores, labels, sources // 2, ("a", "b"))
    assert roc_auc(labels, stack.log_odds(scores)) > 0.9


def test_weights_balance_classes_and_sources() -> None:
    weights = source_weights([1, 1, 1, 0, 0], ["a", "a", "b", "c", "c"])
    np.testing.assert_allclose(weights, [0.125, 0.125, 0.25, 0.25, 0.25])


@pytest.mark.parametrize(
    ("table", "message"), [(np.zeros((4, 3)), "members"), (np.full((4, 2), np.inf), "finite"), (np.zeros(4), "members")]
)
def test_malformed_scores_are_refused(table: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_stack(table, [0, 1, 0, 1], list("abcd"), ("a", "b"))


def test_the_benchmark_reads_a_matrix_and_measures_by_modality(tmp_path: Path) -> None:
    scores, labels, sources = matrix((2.0, 1.0), each=15)
    path = tmp_path / "matrix.csv.gz"
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["modality", "label", "generator", "ensemble_score", "prob_a", "prob_b", "prob_blind"])
        for modality in ("images", "audio", "video"):
            for row, label, source in zip(1 / (1 + np.exp(-scores)), labels, sources, strict=True):
                writer.writerow([modality, "fake" if label else "real", f"s{source}", row[1], row[0], row[1], 0.5])
        writer.writerow(["video", "real", "s0", 0.5, "", "", 0.5])
    program = Path(__file__).parents[1] / "benchmarks" / "ensemble.py"
    command = [sys.executable, str(program), str(path), "--format", "json"]
    results = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert list(results) == ["images", "audio", "video"]
    one = results["images"]
    assert one["best_member_name"] == "a"
    assert one["best_member"] == pytest.approx(roc_auc(labels, scores[:, 0]), abs=1e-4)
    assert one["package"] == pytest.approx(roc_auc(labels, scores[:, 1]), abs=1e-4)
    assert one["ours"] > one["package"]
    assert one["intervals"]["ours"][0] < one["ours"] < one["intervals"]["ours"][1]
    assert "blind" not in one["members_kept_in_folds"]
    assert (results["audio"]["scored_by_no_member_kept"], results["video"]["scored_by_no_member_kept"]) == (0, 1)


@pytest.mark.parametrize("seed", [837, 1336, 1321])
def test_members_that_seldom_meet_are_fitted_to_the_end(seed: int) -> None:
    """Where the ratio of two weights near 0 decides for a few items alone, a fit would go on for hundreds of steps."""
    rng = np.random.default_rng(seed)
    n, members = int(rng.integers(12, 340)), int(rng.integers(1, 8))
    truth = rng.random(n) < rng.choice([0.3, 0.5, 0.9])
    truth[:2] = [True, False]
    skill = rng.normal(0, 1, members) * rng.choice([0.2, 1, 3])
    log_odds = rng.normal(0, 1, (n, members)) * rng.choice([0.3, 1, 4, 15], members) + np.outer(truth - 0.5, skill)
    if rng.random() < 0.5:
        log_odds -= rng.choice([0, 3, 8])
    log_odds[rng.random((n, members)) < rng.choice([0, 0.3, 0.8])] = np.nan
    weights = rng.random(n) + 0.1
    if rng.random() < 0.3:
        weights = weights ** rng.choice([4, 8])
    found, offset = _fit(log_odds, truth, weights / weights.sum(), float(rng.choice([1e-4, 1e-3, 1e-2, 0.1, 1])))
    assert (found >= 0).all()
    assert found.any()
    assert np.isfinite(offset)
