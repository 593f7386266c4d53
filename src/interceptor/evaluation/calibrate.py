"""Calibration of the screen: probability and thresholds fitted on validation crops of many sources, written into its
card.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interceptor.datasets.crops import Crop, read_crop
from interceptor.metrics.calibration import (
    RiskCurve,
    fit_platt,
    risk_curve,
    threshold_at_miss_rate,
    thresholds_across_sources,
)
from interceptor.metrics.classification import expected_calibration_error, roc_auc

Score = Callable[[np.ndarray], np.ndarray]
"""uint8[n, 224, 224, 3] RGB to logits float[n]."""


SMALLEST_CLASS = 3
"""Clips of each class that an AUC of one source needs to be worth printing."""


@dataclass(frozen=True)
class Clip:
    """All validation crops of one clip: what a scan gives one verdict for."""

    dataset: str
    source: str
    label: int
    logit: float
    crops: int


def score_clips(crops: Sequence[Crop], score: Score, advance: Callable[[int], None], batch: int = 32) -> list[Clip]:
    """Mean logit over each clip's crops."""
    logits = []
    for i in range(0, len(crops), batch):
        part = crops[i : i + batch]
        logits.append(score(np.stack([read_crop(crop.path)[0] for crop in part])))
        advance(len(part))
    by_clip: dict[tuple[str, str, int, str], list[float]] = defaultdict(list)
    for crop, logit in zip(crops, np.concatenate(logits), strict=True):
        by_clip[crop.dataset, crop.maker, crop.label, crop.clip or crop.path.stem].append(float(logit))
    return [
        Clip(dataset, source, label, float(np.mean(values)), len(values))
        for (dataset, source, label, _), values in by_clip.items()
    ]


def calibrate(
    clips: Sequence[Clip],
    rate: float = 0.05,
    fewest: int = 5,
    *,
    measured: Sequence[Clip] = (),
    cautious: bool = False,
) -> dict[str, Any]:
    """What the card stores: `calibration`, `thresholds`, and the `figures` they were made with. Clips that are only
    `measured` set nothing; AUC and calibration error are told of them too.

    The probability is fitted on the data sets that hold both classes, each weighing as its number of clips and each
    class in it the same: sets of authentic files alone would teach it whose camera it was, and a prior. The
    thresholds rest on every source. A data set is a source of its own unless it names several of at least `fewest`
    authentic clips each; smaller ones of it are taken together. `cautious`, for a network that is weak on one kind of
    forgery: `authentic` must keep its rate on the forgeries of each data set by themselves, too.
    """
    labels = np.array([clip.label for clip in clips])
    logits = np.array([clip.logit for clip in clips])
    sources = _sources(clips, fewest)
    platt = fit_platt(logits, labels, _calibration_weights(clips))
    by_source: dict[int, dict[str, list[float]]] = {0: defaultdict(list), 1: defaultdict(list)}
    for clip, source in zip(clips, sources, strict=True):
        by_source[clip.label][source].append(clip.logit)
    authentic = risk_curve(by_source[1], side="authentic")
    if cautious:
        authentic = _on_each_set(authentic, clips)
    every = [*clips, *measured]
    return {
        "calibration": platt._asdict(),
        "thresholds": {
            "forged": dataclasses.asdict(risk_curve(by_source[0], side="forged")),
            "authentic": dataclasses.asdict(authentic),
        },
        "figures": {
            "false alarms by source": dataclasses.asdict(thresholds_across_sources(by_source[0], rate, "forged")),
            "misses by source": dataclasses.asdict(thresholds_across_sources(by_source[1], rate, "authentic")),
            "clips by origin": _by_origin(every, platt.apply([clip.logit for clip in every])),
        },
    }


def _on_each_set(curve: RiskCurve, clips: Sequence[Clip]) -> RiskCurve:
    """The thresholds of `curve` for `authentic`, lowered where a data set's own forgeries ask for it (split conformal:
    `threshold_at_miss_rate`). One with too few forgeries for a rate asks for less than any of its scores.
    """
    forged: dict[str, list[float]] = defaultdict(list)
    for clip in clips:
        if clip.label == 1:
            forged[clip.dataset].append(clip.logit)
    thresholds = tuple(
        min(pooled, *(threshold_at_miss_rate(logits, rate).logit for logits in forged.values()))
        for rate, pooled in zip(curve.rates, curve.thresholds, strict=True)
    )
    return dataclasses.replace(curve, thresholds=thresholds)


def _calibration_weights(clips: Sequence[Clip]) -> np.ndarray:
    """Weights float64[n] of the clips in the fit of the probability; 0 for data sets of one class."""
    members: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, clip in enumerate(clips):
        members[clip.dataset][clip.label].append(i)
    weights = np.zeros(len(clips))
    for by_label in members.values():
        if len(by_label) == 2:
            size = sum(map(len, by_label.values()))
            for chosen in by_label.values():
                weights[chosen] = size / len(chosen)
    return weights


def _sources(clips: Sequence[Clip], fewest: int) -> list[str]:
    count: dict[tuple[str, int, str], int] = defaultdict(int)
    for clip in clips:
        count[clip.dataset, clip.label, clip.source] += 1
    return [
        f"{clip.dataset}/{clip.source}"
        if count[clip.dataset, clip.label, clip.source] >= fewest
        else f"{clip.dataset}/others"
        for clip in clips
    ]


def _by_origin(clips: Sequence[Clip], probabilities: np.ndarray) -> dict[str, Any]:
    """AUC and calibration error by clip, within each data set and each source that has both classes, and for all."""
    members: dict[str, list[int]] = defaultdict(list)
    for i, clip in enumerate(clips):
        for name in {clip.dataset, clip.source, "together"}:
            members[name].append(i)
    found: dict[str, Any] = {}
    for name in sorted(members):
        labels = np.array([clips[i].label for i in members[name]])
        chosen = probabilities[members[name]]
        n_real, n_fake = int((labels == 0).sum()), int((labels == 1).sum())
        if min(n_real, n_fake) >= SMALLEST_CLASS:
            auc, ece = roc_auc(labels, chosen), expected_calibration_error(labels, chosen)
            found[name] = {"n_real": n_real, "n_fake": n_fake, "auc": round(auc, 4), "ece": round(ece, 4)}
    return found
