"""Measure a localisation on labelled pictures: pixel by pixel, by instance, and by picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interceptor.datasets.masks import MaskError, joined, read_array
from interceptor.datasets.pictures import Picture, by_stem
from interceptor.media.errors import MediaError
from interceptor.media.stills import open_picture, read_still
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

Predict = Callable[[NDArray[np.uint8], Path], NDArray[np.floating[Any]]]
"""RGB uint8[H, W, 3] and the file it came from -> probabilities of forgery float[H, W], 0..1; or float[k, H, W], one
map for each instance. Raises `PredictionError` where it has nothing to give."""

SMALL = 0.02
"""Forged share of a picture below which a forgery is called small."""
ALARM_AREA = 0.001
"""Called share of an authentic picture above which it is more than specks."""

OF_FORGED = ("f1", "iou", "precision", "recall", "ap", "auc", "of1")
OF_AUTHENTIC = ("false_alarm", "false_alarm_over_0.1_percent", "false_area", "of1")


class PredictionError(Exception):
    """No usable prediction for a picture; `cause` is `missing_prediction`, `prediction_unreadable`, `prediction_size`
    or `prediction_values`.
    """

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(cause, message)
        self.cause, self.message = cause, message


@dataclass(frozen=True)
class Scored:
    """A picture that was measured."""

    picture: Picture
    area: float
    """Forged share, 0..1."""
    score: float
    """The picture's own probability: the highest of its pixels."""
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
    under 2 % of the picture, `by_area` all by quartile of the forged area. Over authentic pictures:
    `false_alarm_rate` (any pixel called), `false_alarm_rate_over_0.1_percent` (more than that share called) and
    `false_area`. Over all: `of1`, where a map without an instance axis is one instance; `pixel_ece`, each picture
    counting the same; `picture`, the measures of a two-class detector, with the highest pixel as probability.
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
        raise ValueError(f"none of {len(pictures)} pictures could be measured: {failures}")

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
    found["pixel_ece"] = mean_calibration_error([s.gaps for s in scored])
    found["undefined"] = {name: sum(name not in s.values for s in forged) for name in ("ap", "auc")}
    scores, labels = [s.score for s in scored], [s.picture.label for s in scored]
    groups = [s.picture.group for s in scored]
    found["picture"] = figures(labels, scores, scores, clusters=groups, draws=draws, seed=seed).as_dict()
    return found | {
        "intervals": intervals,
        "coverage": {"pictures": len(pictures), "scored": len(scored), "failures": failures},
        "failed": failed,
        "pictures": [_row(s) for s in scored],
    }


def stored_predictions(images: Path, predictions: Path, authentic: Path | None = None) -> Predict:
    """Predictions of any tool: for each picture below `images` (or `authentic`) the file of the same path, whatever its
    suffix, below `predictions`.

    A picture holds one map in grey, its full scale being 1; a `.npy` file holds probabilities 0..1 (or booleans) of
    shape (H, W) or (k, H, W). Raises `ValueError` as `by_stem` does.
    """
    of_stem = by_stem(predictions)
    roots = [images] if authentic is None else [images, authentic]

    def predict(rgb: NDArray[np.uint8], path: Path) -> NDArray[np.floating[Any]]:
        root = next(root for root in roots if path.is_relative_to(root))
        stem = path.relative_to(root).with_suffix("").as_posix()
        if stem not in of_stem:
            raise PredictionError("missing_prediction", f"no file {stem}.* in {predictions}")
        return _stored(of_stem[stem])

    return predict


def localizer_predictions() -> Predict:
    """The installed localizer's maps. Raises `WeightError`."""
    from interceptor.detect.localize import Localizer

    localizer = Localizer()
    return lambda rgb, path: localizer.localize(rgb).probability_map


def _stored(path: Path) -> NDArray[np.floating[Any]]:
    try:
        if path.suffix.lower() == ".npy":
            values = read_array(path)
            return values.astype(np.float32) if values.dtype == np.bool_ else values
        image = open_picture(path)
        if image is None:
            raise PredictionError("prediction_unreadable", f"{path}: this is no picture")
        with image:
            wide = image.mode.startswith("I")
            grey = np.asarray(image if wide else image.convert("L"))
    except (MaskError, MediaError, OSError, ValueError, SyntaxError) as error:
        raise PredictionError("prediction_unreadable", str(error)) from error
    return grey.astype(np.float32) / np.float32(65535 if wide else 255)


def _score(picture: Picture, predict: Predict) -> Scored:
    rgb = read_still(picture.path)
    size = rgb.shape[:2]
    instances = picture.instances() if picture.label else np.zeros((0, *size), bool)
    if picture.label and not len(instances):
        raise MaskError(picture.path, "empty_mask", f"nothing is forged in its mask {picture.mask_path}")
    if instances.shape[1:] != size:
        message = f"the mask is of {instances.shape[1:]} pixels (height, width), the picture of {size}"
        raise MaskError(picture.path, "mask_size", message)
    planes = _checked(predict(rgb, picture.path), size)
    probability = planes.max(axis=0)
    truth, called = joined(instances), probability >= THRESHOLD
    values: dict[str, float] = {"of1": of1(instances, planes >= THRESHOLD)}
    if picture.label:
        values |= overlap(truth, called)._asdict()
        if not truth.all():
            values["ap"], values["auc"] = pixel_ranking(truth, probability)
    else:
        share = float(called.mean())
        values |= dict(zip(OF_AUTHENTIC, (float(share > 0), float(share > ALARM_AREA), share), strict=False))
    gaps = calibration_gaps(truth, probability)
    return Scored(picture, float(truth.mean()), float(probability.max()), values, gaps)


def _checked(prediction: NDArray[np.floating[Any]], size: tuple[int, ...]) -> NDArray[np.floating[Any]]:
    """As float[k, H, W], k at least 1."""
    if prediction.ndim not in (2, 3) or prediction.shape[-2:] != size:
        raise PredictionError("prediction_size", f"the prediction is of {prediction.shape}, the picture of {size}")
    if prediction.ndim == 3 and not len(prediction):
        return np.zeros((1, *size), np.float32)
    if prediction.dtype.kind != "f" or not (prediction.min() >= 0 and prediction.max() <= 1):
        found = f"{prediction.dtype} from {prediction.min()} to {prediction.max()}"
        raise PredictionError("prediction_values", f"a prediction holds floats within 0..1, not {found}")
    return prediction.reshape(-1, *size)


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
    return {"path": str(picture.path), "label": picture.label, "area": scored.area, "score": scored.score} | {
        name: scored.values.get(name) for name in (OF_FORGED if picture.label else OF_AUTHENTIC)
    }
