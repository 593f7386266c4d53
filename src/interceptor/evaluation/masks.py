"""Measure a localisation on labelled pictures: pixel by pixel, by instance, and by picture."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interceptor.datasets.masks import MaskError, joined
from interceptor.datasets.pictures import Picture
from interceptor.evaluation.predictions import Predict, PredictionError, checked
from interceptor.media.errors import MediaError
from interceptor.media.stills import read_still
from interceptor.metrics.bootstrap import DRAWS, bootstrap_intervals, figures, share_interval
from interceptor.metrics.classification import Floats
from interceptor.metrics.instances import of1
from interceptor.metrics.masks import (
    THRESHOLD,
    by_area_quartile,
    calibration_gaps,
    mean_calibration_error,
    overlap,
    pixel_ranking,
)

SMALL = 0.02
"""Forged share of a picture below which a forgery is called small."""
ALARM_AREA = 0.001
"""Called share of an authentic picture above which it is more than specks."""

OF_FORGED = ("f1", "iou", "precision", "recall", "ap", "auc", "of1")
OF_AUTHENTIC = ("false_alarm", "false_alarm_over_0.1_percent", "false_area", "of1")


@dataclass(frozen=True)
class Scored:
    """A picture that was measured."""

    picture: Picture
    area: float
    """Forged share, 0..1."""
    score: float
    """The picture's own probability, or the highest of its pixels."""
    seconds: float
    """What the prediction took."""
    values: dict[str, float]
    """`OF_FORGED` (`ap` and `auc` only where defined) or `OF_AUTHENTIC`."""
    gaps: Floats


def evaluate_masks(
    pictures: Sequence[Picture],
    predict: Predict,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Predict every picture at its native size and measure; ready for JSON. `progress` is told (done, in all).

    A pixel is called forged at 0.5 or above. Means over forged pictures: `f1, iou, precision, recall, ap, auc` (the
    last two left out, and counted in `undefined`, where all pixels are forged); `small` is F1 and recall of forgeries
    under 2 % of the picture, `by_area` all by quartile of the forged area, `by_kind` all by `Picture.dataset`. Over
    authentic pictures:
    `false_alarm_rate` (any pixel called), `false_alarm_rate_over_0.1_percent` (more than that share called) and
    `false_area`. Over all: `of1`; `pixel_ece`, each picture
    counting the same; `picture`, the measures of a two-class detector; `seconds`, the median time of a prediction.
    `intervals` are 95 %, by bootstrap over groups (`Picture.group`), for rates Wilson's. What there are no pictures
    for is None.

    What cannot be measured is left out, named in `failed` with its cause and counted in `failures`: causes of
    `MediaError`, `MaskError` and `PredictionError`, `empty_mask` (nothing is forged in a forged picture) and
    `mask_size` (mask and picture differ). `pictures` lists the measured ones. Raises `ValueError` where that is none.
    """
    scored: list[Scored] = []
    failed: list[dict[str, str]] = []
    for done, picture in enumerate(pictures, start=1):
        try:
            scored.append(_score(picture, predict))
        except (MediaError, MaskError, PredictionError) as error:
            failed.append({"path": str(picture.path), "cause": error.cause, "message": error.message})
        if progress is not None:
            progress(done, len(pictures))
    failures = dict(Counter(entry["cause"] for entry in failed))
    if not scored:
        first = f"{failed[0]['path']}: {failed[0]['message']}" if failed else "there are none"
        raise ValueError(f"none of {len(pictures)} pictures could be measured: {failures}; the first: {first}")

    forged = [s for s in scored if s.picture.label]
    authentic = [s for s in scored if not s.picture.label]
    interval = partial(_mean_interval, draws=draws, seed=seed)
    found: dict[str, Any] = {"n_forged": len(forged), "n_authentic": len(authentic)}
    means: dict[str, tuple[list[Scored], str]] = {name: (forged, name) for name in OF_FORGED if name != "of1"}
    means |= {"of1": (scored, "of1"), "false_area": (authentic, "false_area")}
    intervals: dict[str, list[float] | None] = {}
    for name, (members, key) in means.items():
        found[name], intervals[name] = interval(members, key)
    for name, key in (("false_alarm_rate", OF_AUTHENTIC[0]), ("false_alarm_rate_over_0.1_percent", OF_AUTHENTIC[1])):
        alarms = [s.values[key] for s in authentic]
        found[name] = float(np.mean(alarms)) if alarms else None
        intervals[name] = list(share_interval(int(sum(alarms)), len(alarms))) if alarms else None
    small = [s for s in forged if s.area < SMALL]
    found["small"] = {"n": len(small)}
    for name in ("f1", "recall"):
        found["small"][name], intervals[f"small.{name}"] = interval(small, name)
    measured = {name: [s.values[name] for s in forged] for name in ("f1", "iou", "recall")}
    found["by_area"] = by_area_quartile([s.area for s in forged], measured)
    kinds = sorted({s.picture.dataset for s in scored})
    found["by_kind"] = {kind: _kind([s for s in scored if s.picture.dataset == kind]) for kind in kinds}
    found["pixel_ece"] = mean_calibration_error([s.gaps for s in scored])
    found["undefined"] = {name: sum(name not in s.values for s in forged) for name in ("ap", "auc")}
    scores, labels = [s.score for s in scored], [s.picture.label for s in scored]
    groups = [s.picture.group for s in scored]
    found["picture"] = figures(labels, scores, scores, clusters=groups, draws=draws, seed=seed).as_dict()
    return found | {
        "intervals": intervals,
        "seconds": float(np.median([s.seconds for s in scored])),
        "coverage": {"pictures": len(pictures), "scored": len(scored), "failures": failures},
        "failed": failed,
        "pictures": [_row(s) for s in scored],
    }


def peak_memory_mb() -> float | None:
    """The most memory that this process held so far, in megabytes of 2^20 bytes; None where Windows does not tell."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _score(picture: Picture, predict: Predict) -> Scored:
    rgb = read_still(picture.path)
    size = rgb.shape[:2]
    instances = picture.instances() if picture.label else np.zeros((0, *size), bool)
    if picture.label and not len(instances):
        raise MaskError(picture.path, "empty_mask", f"nothing is forged in its mask {picture.mask_path}")
    if instances.shape[1:] != size:
        message = f"the mask is of {instances.shape[1:]} pixels (height, width), the picture of {size}"
        raise MaskError(picture.path, "mask_size", message)
    start = time.perf_counter()
    seen = checked(predict(rgb, picture.path), size)
    seconds = time.perf_counter() - start
    truth, called = joined(instances), seen.map >= THRESHOLD
    values: dict[str, float] = {"of1": of1(instances, seen.instances)}
    if picture.label:
        values |= overlap(truth, called)._asdict()
        if not truth.all():
            values["ap"], values["auc"] = pixel_ranking(truth, seen.map)
    else:
        share = float(called.mean())
        values |= dict(zip(OF_AUTHENTIC, (float(share > 0), float(share > ALARM_AREA), share), strict=False))
    gaps = calibration_gaps(truth, seen.map)
    return Scored(picture, float(truth.mean()), seen.probability, seconds, values, gaps)


def _kind(scored: list[Scored]) -> dict[str, Any]:
    """Means over the pictures of one kind, None where it has none of them."""
    rows: dict[str, Any] = {}
    for label, names in ((1, ("f1", "iou", "recall")), (0, ("false_alarm", "false_area"))):
        chosen = [s for s in scored if s.picture.label == label]
        rows["n_forged" if label else "n_authentic"] = len(chosen)
        rows |= {name: float(np.mean([s.values[name] for s in chosen])) if chosen else None for name in names}
    return rows


def _mean_interval(
    scored: list[Scored], name: str, *, draws: int, seed: int
) -> tuple[float | None, list[float] | None]:
    """Mean of a value over the pictures that have it, and its bootstrap interval."""
    kept = [s for s in scored if name in s.values]
    if not kept:
        return None, None
    values, labels = [s.values[name] for s in kept], [s.picture.label for s in kept]
    groups = [s.picture.group for s in kept]
    found = bootstrap_intervals({name: _weighted_mean}, labels, values, clusters=groups, draws=draws, seed=seed)
    return float(np.mean(values)), list(found[name])


def _weighted_mean(truth: NDArray[np.bool_], values: Floats, weights: Floats) -> Floats:
    return weights @ values / weights.sum(axis=1)


def _row(scored: Scored) -> dict[str, Any]:
    picture = scored.picture
    facts = {"path": str(picture.path), "kind": picture.dataset, "label": picture.label}
    measured = {name: scored.values.get(name) for name in (OF_FORGED if picture.label else OF_AUTHENTIC)}
    return facts | {"area": scored.area, "score": scored.score, "seconds": scored.seconds} | measured
