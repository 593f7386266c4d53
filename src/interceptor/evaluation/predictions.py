"""What is measured on labelled pictures: the localizer's own predictions, those in files, or those of any function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from interceptor.datasets.masks import MaskError, read_array
from interceptor.datasets.pictures import by_stem
from interceptor.detect.localize import Localizer
from interceptor.media.errors import MediaError
from interceptor.media.stills import open_picture
from interceptor.metrics.masks import THRESHOLD

Map = NDArray[np.floating[Any]]


class Prediction(NamedTuple):
    """What a method says of one picture."""

    map: Map
    """float[H, W], 0..1: that a pixel is forged."""
    probability: float
    """0..1: that the picture is."""
    instances: NDArray[np.bool_]
    """bool[n, H, W]: what the contest's measure is taken of."""


Predict = Callable[[NDArray[np.uint8], Path], "Map | Prediction"]
"""RGB uint8[H, W, 3] and the file it came from -> a prediction; or only float[H, W], or float[k, H, W] with a map for
each instance: their highest pixel is then the picture's probability, and instances are called from 0.5. Raises
`PredictionError` where it has nothing to give."""


class PredictionError(Exception):
    """No usable prediction for a picture; `cause` is `missing_prediction`, `prediction_unreadable`, `prediction_size`,
    `prediction_values` or `too_large` (memory ran out).
    """

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(cause, message)
        self.cause, self.message = cause, message


def stored_predictions(images: Path, predictions: Path, authentic: Path | None = None) -> Predict:
    """Predictions of any tool: for each picture below `images` (or `authentic`) the file of the same path, whatever its
    suffix, below `predictions`.

    A picture holds one map in grey, its full scale being 1; a `.npy` file holds probabilities 0..1 (or booleans) of
    shape (H, W) or (k, H, W). Raises `ValueError` as `by_stem` does.
    """
    of_stem = by_stem(predictions)
    roots = [images] if authentic is None else [images, authentic]

    def predict(rgb: NDArray[np.uint8], path: Path) -> Map:
        root = next(root for root in roots if path.is_relative_to(root))
        stem = path.relative_to(root).with_suffix("").as_posix()
        if stem not in of_stem:
            raise PredictionError("missing_prediction", f"no file {stem}.* in {predictions}")
        return _stored(of_stem[stem])

    return predict


def localizer_predictions(localizer: Localizer) -> Predict:
    """A localizer's own maps and probabilities; its instances, unless it calls the picture authentic."""

    def predict(rgb: NDArray[np.uint8], path: Path) -> Prediction:
        try:
            found = localizer.localize(rgb)
            count = 0 if found.verdict == "authentic" else len(found.instances)
            planes = found.labels == np.arange(1, count + 1)[:, None, None]
        except MemoryError as error:
            message = f"not enough memory for a picture of {rgb.shape[1]:,} x {rgb.shape[0]:,} pixels"
            raise PredictionError("too_large", message) from error
        return Prediction(found.probability_map, found.probability, planes)

    return predict


def checked(given: Map | Prediction, size: tuple[int, ...]) -> Prediction:
    """What a method gave for a picture of `size`, complete. Raises `PredictionError`."""
    if isinstance(given, Prediction):
        _check(given.map, size)
        return given
    _check(given, size)
    planes = given.reshape(-1, *size) if given.size else np.zeros((1, *size), np.float32)
    joined = planes.max(axis=0)
    return Prediction(joined, float(joined.max()), planes >= THRESHOLD)


def _check(values: Map, size: tuple[int, ...]) -> None:
    if values.ndim not in (2, 3) or values.shape[-2:] != size:
        raise PredictionError("prediction_size", f"the prediction is of {values.shape}, the picture of {size}")
    if values.dtype.kind != "f" or (values.size and not (values.min() >= 0 and values.max() <= 1)):
        found = f"{values.dtype} from {values.min()} to {values.max()}"
        raise PredictionError("prediction_values", f"a prediction holds floats within 0..1, not {found}")


def _stored(path: Path) -> Map:
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
