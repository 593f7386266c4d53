from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from interceptor.detect.ensemble import SPECIALISTS, Abstention, EnsembleResult, file_result, weighted_ensemble
from interceptor.detect.router import parse_choice, route
from interceptor.media.quality import Quality
from interceptor.metrics.calibration import Platt
from interceptor.metrics.gates import Gate
from interceptor.metrics.stacking import Calibration, Stack

LINE = Calibration((-4.0, 4.0), (0.0, 1.0), Platt(8.0, -4.0))
"""Log-odds equal to the score, for scores of -4 to 4."""
STACK = Stack(("ll", "bg", "cm", "rr"), {"ll": LINE, "bg": LINE, "cm": LINE}, (0.75, 0.25, 0.0, 0.0), 0.5, 0.1)
GOOD = Quality(120.0, 1.0, 1.0, 500.0, 3.0, 0.2, 300.0, sound=False, frames=32)


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def test_members_count_by_their_weights() -> None:
    result = weighted_ensemble({"ll": 2.0, "bg": -2.0}, STACK)
    assert result.log_odds == pytest.approx(0.5 + 0.75 * 2 - 0.25 * 2)
    assert result.probability == pytest.approx(sigmoid(1.5))
    assert [result.specialists[code].weight for code in ("ll", "bg", "cm")] == pytest.approx([0.75, 0.25, 0])
    assert result.specialists["ll"].probability == pytest.approx(sigmoid(2))
    assert result.specialists["bg"].reason == "leans authentic"
    assert result.specialists["cm"].reason == "was not run"


def test_an_abstaining_member_gives_its_weight_to_the_rest() -> None:
    result = weighted_ensemble({"ll": Abstention(reason="no light"), "bg": 1.0}, STACK)
    assert result.log_odds == pytest.approx(0.5 + 1.0)
    silent = result.specialists["ll"]
    assert (silent.probability, silent.weight, silent.reason) == (None, 0.0, "no light")
    assert result.specialists["bg"].weight == 1.0


def test_a_member_without_a_fitted_weight_says_so() -> None:
    entries = weighted_ensemble({"ll": 1.0, "cm": 3.0, "rr": 1.0}, STACK).specialists
    assert entries["cm"].probability == pytest.approx(sigmoid(3))
    assert entries["cm"].weight == 0
    assert "left out" in entries["cm"].reason
    assert entries["rr"].probability is None
    assert "not found to point" in entries["rr"].reason


def test_a_member_is_set_aside_where_its_gate_is_shut() -> None:
    gate = Gate("luma", 70.0, above=False)
    stack = dataclasses.replace(STACK, gates={"ll": gate})
    dark = weighted_ensemble({"ll": 2.0, "bg": -2.0}, stack, {"luma": 30.0})
    assert dark == weighted_ensemble({"ll": 2.0, "bg": -2.0}, STACK)
    for quality in ({"luma": 120.0}, {"luma": math.nan}, None):
        light = weighted_ensemble({"ll": 2.0, "bg": -2.0}, stack, quality)
        assert light.log_odds == pytest.approx(0.5 - 2)
        ll = light.specialists["ll"]
        assert (ll.probability, ll.weight) == (pytest.approx(sigmoid(2)), 0.0)
        assert ll.reason == "leans forged; set aside: it counts only with luma below 70"


def test_no_score_is_no_answer_and_never_a_half() -> None:
    for stack in (STACK, None):
        result = weighted_ensemble({"ll": None, "bg": None}, stack)
        assert result.probability is None
        assert result.log_odds is None
        assert json.loads(result.model_dump_json())["specialists"]["ll"]["probability"] is None


def test_without_a_stack_log_odds_count_equally() -> None:
    result = weighted_ensemble({"x": 1.0, "y": 3.0, "z": None})
    assert result.log_odds == pytest.approx(2.0)
    assert [entry.weight for entry in result.specialists.values()] == [0.5, 0.5, 0.0]


def test_bad_predictions_are_refused() -> None:
    with pytest.raises(ValueError, match="not a finite"):
        weighted_ensemble({"ll": float("nan")}, STACK)
    with pytest.raises(ValueError, match="tm"):
        weighted_ensemble({"tm": 1.0}, STACK)
    for wrong in ("x", np.array([1.0]), [0.5], {}):
        with pytest.raises(TypeError, match=f"^bg: a score is one number, not {type(wrong).__name__}$"):
            weighted_ensemble({"ll": 1.0, "bg": wrong}, STACK)
    for right in (1, np.float32(1), np.int64(1)):
        assert weighted_ensemble({"ll": right}).log_odds == 1


def test_the_examples_of_the_page_run() -> None:
    page = (Path(__file__).parents[1] / "docs" / "ensemble.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    plain, shipped = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(plain, names)
    assert f"{names['answer'].probability:.3f}" in plain
    assert names["answer"].specialists["av"].reason == "no sound track"
    exec(shipped, names)
    assert names["stack"].members == ("screen", *SPECIALISTS)
    assert names["answer"].specialists["tm"].weight == 0
    assert names["answer"].probability == pytest.approx(sigmoid(-1.2), abs=1e-6)


def test_the_worst_face_is_the_file() -> None:
    faces = [weighted_ensemble({"ll": score}, STACK) for score in (-1.0, 2.0, None)]
    assert file_result(faces) is faces[1]
    assert file_result(faces[2:]) is None


Verdict = Literal["forged", "authentic", "inconclusive"]


def standard(**probabilities: float) -> EnsembleResult:
    """The standard ensemble's answer, members as log-odds."""
    return weighted_ensemble({code: math.log(p / (1 - p)) for code, p in probabilities.items()})


def ran(quality: Quality, answer: EnsembleResult, choice: str = "auto", verdict: Verdict = "inconclusive") -> set[str]:
    decisions = route(quality, answer, verdict, list(SPECIALISTS), parse_choice(choice))
    assert list(decisions) == list(SPECIALISTS)
    assert all(decision.reason for decision in decisions.values())
    return {code for code, decision in decisions.items() if decision.run}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"luma": 30.0}, "ll"),
        ({"bits_per_pixel": 0.02}, "cm"),
        ({"blockiness": 2.0}, "cm"),
        ({"upscaling": 2.5}, "rr"),
        ({"face_size": 60.0}, "rr"),
        ({"sound": True}, "av"),
    ],
)
def test_quality_calls_for_its_specialist(change: dict[str, float], code: str) -> None:
    quality = dataclasses.replace(GOOD, **change)
    assert ran(quality, standard(ll=0.6, bg=0.6)) == {code}
    assert ran(quality, standard(ll=0.99, bg=0.99), verdict="forged") == set()


def test_a_good_file_calls_for_none_and_a_contradiction_for_its_own() -> None:
    assert ran(GOOD, standard(ll=0.6, bg=0.6)) == set()
    assert ran(GOOD, standard(ll=0.9, bg=0.3)) == {"bg"}


def test_certain_is_what_the_thresholds_decide() -> None:
    """However near to 0 or 1 the probability lies."""
    dark, low = dataclasses.replace(GOOD, luma=30.0), standard(ll=0.005)
    for verdict, runs in (("inconclusive", True), ("authentic", False), ("forged", False)):
        run, reason = route(dark, low, verdict, ["ll"])["ll"]
        assert run is runs
        assert f"{verdict} (probability 0.005)" in reason
        assert ("certain" in reason) is not runs


def test_motion_takes_frames() -> None:
    answer = standard(ll=0.5)
    for frames, blind in ((1, {"av", "tm"}), (2, {"tm"}), (3, set()), (None, set())):
        quality = dataclasses.replace(GOOD, frames=frames, sound=True)
        assert set(SPECIALISTS) - ran(quality, answer, "all") == blind
    assert "two frames" in route(dataclasses.replace(GOOD, frames=2), answer, "inconclusive", ["tm"])["tm"].reason


def test_what_is_asked_for_runs_if_it_can() -> None:
    certain = standard(ll=0.999)
    assert ran(GOOD, certain, "all", "forged") == {"ll", "bg", "cm", "rr", "tm"}  # no sound
    assert ran(GOOD, certain, "cm, tm", "forged") == {"cm", "tm"}
    decisions = route(GOOD, certain, "forged", ["ll"], parse_choice("all"))
    assert [code for code, decision in decisions.items() if decision.run] == ["ll"]
    assert "not installed" in decisions["cm"].reason
    assert decisions["av"].reason == "its file is not installed"


def test_without_a_standard_answer_all_that_can_see_run() -> None:
    assert ran(GOOD, weighted_ensemble({"ll": None})) == {"ll", "bg", "cm", "rr", "tm"}


def test_a_mistyped_choice_lists_the_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"'xx'.*auto, all.*ll, bg"):
        parse_choice("ll,xx")
