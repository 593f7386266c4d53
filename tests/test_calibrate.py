from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from interceptor.datasets.crops import read_index
from interceptor.evaluation.calibrate import Clip, calibrate, score_clips
from interceptor.metrics.calibration import Platt, RiskCurve
from tiny_data import write_crops


def made_clips(shift: float = 0.0) -> list[Clip]:
    """Two data sets with both classes, and authentic pictures of a third that score `shift` higher."""
    rng = np.random.default_rng(0)
    clips = [
        Clip(name, name, label, float(rng.normal(4 * label - 2, 1)), 1)
        for name in ("swaps", "heads")
        for label in (0, 1)
        for _ in range(200)
    ]
    return clips + [Clip("pictures", f"maker{i % 2}", 0, float(rng.normal(-2 + shift, 1)), 1) for i in range(80)]


def test_probabilities_are_calibrated_on_the_sets_with_both_classes() -> None:
    found = calibrate(made_clips())
    again = calibrate(made_clips(shift=3))
    assert found["calibration"] == again["calibration"]
    assert found["figures"]["clips by origin"]["swaps"]["ece"] < 0.06
    assert Platt(**found["calibration"]).apply(np.array([0.0]))[0] == pytest.approx(0.5, abs=0.1)


def test_the_stated_rate_is_kept_on_the_worst_source() -> None:
    strict = calibrate(made_clips(shift=3))
    rates = strict["figures"]["false alarms by source"]["sources"]
    assert set(rates) == {"swaps/swaps", "heads/heads", "pictures/maker0", "pictures/maker1"}
    assert max(source["rate"] for source in rates.values()) <= 0.1
    plain = RiskCurve(**calibrate(made_clips())["thresholds"]["forged"])
    assert RiskCurve(**strict["thresholds"]["forged"]).interpolate(0.05) > plain.interpolate(0.05) + 1


def test_a_cautious_authentic_keeps_its_rate_on_each_kind_of_forgery() -> None:
    """Forgeries of one small set score as low as authentic clips do: only what lies below them is called authentic."""
    rng = np.random.default_rng(1)
    hard = [Clip("hard", "hard", label, float(rng.normal(-2, 1)), 1) for label in (0, 1) for _ in range(40)]
    clips = made_clips() + hard
    low = np.array([clip.logit for clip in hard if clip.label == 1])
    plain, cautious = (
        RiskCurve(**calibrate(clips, cautious=choice)["thresholds"]["authentic"]) for choice in (False, True)
    )
    for rate in (0.05, 0.1, 0.2):
        assert np.mean(low <= cautious.interpolate(rate)) <= rate
    assert np.mean(low <= plain.interpolate(0.2)) > 0.2
    assert cautious.interpolate(0.01) < low.min(), "40 forgeries cannot show a rate of 1 %"


def test_measured_clips_set_nothing() -> None:
    odd = [Clip("odd", "odd", label, float(label), 1) for label in (0, 1) for _ in range(5)]
    plain, measured = calibrate(made_clips()), calibrate(made_clips(), measured=odd)
    assert {key: plain[key] for key in ("calibration", "thresholds")} == {
        key: measured[key] for key in ("calibration", "thresholds")
    }
    assert measured["figures"]["clips by origin"]["odd"]["auc"] == 1.0


def test_what_is_stored_survives_json() -> None:
    found = json.loads(json.dumps(calibrate(made_clips())))
    curve = RiskCurve(**found["thresholds"]["authentic"])
    assert curve.interpolate(0.01) < curve.interpolate(0.2)


def test_a_clip_scores_the_mean_of_its_crops(tmp_path: Path) -> None:
    crops = read_index(write_crops(tmp_path / "set", 4), "val")
    one_clip = [type(crop)(**{**crop.__dict__, "clip": f"clip{crop.label}", "source": "s"}) for crop in crops]
    seen: list[int] = []
    clips = score_clips(one_clip, lambda images: images.mean((1, 2, 3)), seen.append, batch=3)
    assert sum(seen) == len(crops) == 4
    assert [(clip.label, clip.crops) for clip in clips] == [(0, 2), (1, 2)]
    assert clips[0].logit != clips[1].logit
