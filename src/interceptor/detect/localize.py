"""Where a picture was altered: the standard localizer at work. No PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from interceptor.media.tiles import feather, fitted, starts
from interceptor.metrics.calibration import Platt, RiskCurve
from interceptor.metrics.maps import combined, top_score
from interceptor.runtime.network import Network
from interceptor.runtime.weights import FOLDER, WeightError, load_card

SIDE = 448
"""Pixels a side of what the network sees."""
OVERLAP = 64
"""Pixels that neighbouring tiles share, at least."""
LARGEST_WHOLE = 1024
"""Pixels of the longer side up to which a picture is looked at as a whole unless told otherwise."""
DARK, DIM, BRIGHT = 50, 80, 200
"""Mean grey below or above which the threshold moves: by -0.10, -0.05 and +0.05."""
REFERENCE = 512 * 512
"""Least areas are given in pixels of a picture of this many."""


class Mode(StrEnum):
    """How a picture is looked at: `auto` tiles what is longer than 1024 pixels."""

    auto = "auto"
    whole = "whole"
    tiles = "tiles"


@dataclass(frozen=True)
class Preset:
    """A trade between what is missed and what is wrongly called."""

    threshold: float
    """Probability from which a pixel is called, before brightness moves it."""
    area: float
    """Smallest area of an instance, in pixels of a picture of 512 x 512."""
    fpr: float
    """The false-alarm rate that the verdict is meant to keep."""


PRESETS = {
    "precise": Preset(0.7, 600, 0.02),
    "balanced": Preset(0.5, 300, 0.05),
    "sensitive": Preset(0.3, 150, 0.2),
}


@dataclass(frozen=True)
class Instance:
    """A connected region called altered."""

    box: tuple[int, int, int, int]
    """Left, top, width and height in pixels."""
    area: int
    """Pixels."""
    share: float
    """Of the picture."""
    probability: float
    """The mean over its pixels."""


@dataclass(frozen=True)
class Localization:
    """What was found in one picture."""

    probability_map: np.ndarray
    """float32[H, W], 0..1, at the picture's own size; nowhere above `probability`."""
    mask: np.ndarray
    """bool[H, W]: the instances."""
    labels: np.ndarray
    """int32[H, W]: 0, or the number of the instance, counted from 1."""
    instances: list[Instance]
    """Largest first."""
    probability: float
    """Calibrated, 0..1: that anything in the picture is altered."""
    verdict: Literal["forged", "authentic", "inconclusive"]
    threshold: float
    """From which a pixel was called."""
    tiles: int
    """Looks at the picture, flips not counted."""


class Localizer:
    """The network with the calibration of its card.

    `mode` as in `Mode`; `flips` 1, 4 or 8: every look also at the mirrored (and turned) picture, joined by `join`.
    Raises `WeightError` for files that are not what the card says, `ValueError` for settings there are none of.
    """

    def __init__(
        self,
        folder: Path = FOLDER,
        *,
        preset: str = "balanced",
        mode: Mode | str = Mode.auto,
        flips: int = 1,
        join: Literal["mean", "max"] = "mean",
    ) -> None:
        if preset not in PRESETS:
            raise ValueError(f"no preset {preset!r}; choose from {', '.join(PRESETS)}")
        if flips not in (1, 4, 8):
            raise ValueError(f"flips are 1, 4 or 8, not {flips}")
        self.preset, self.mode, self.flips, self.join = PRESETS[preset], Mode(mode), flips, join
        self.card = load_card("localizer", folder)
        try:
            self._names = list(self.card["members"])
            self._weights, self._union = self.card["weights"], self.card["union"]
            self._offset = float(self.card["pixel_offset"])
            self._platt = Platt(**self.card["calibration"])
            self._forged = RiskCurve(**self.card["thresholds"]["forged"])
            self._authentic = RiskCurve(**self.card["thresholds"]["authentic"])
        except (KeyError, TypeError) as error:
            raise WeightError(f"{folder / 'localizer.json'}: the card is of no use ({error!r})") from error
        self._network = Network(folder / "localizer.onnx", shape=(1, SIDE, SIDE, 3), outputs=("logits",))

    def localize(self, rgb: np.ndarray, progress: Callable[[int, int], None] | None = None) -> Localization:
        """Look at a picture uint8[H, W, 3] RGB of any size; `progress` is told (tiles done, in all)."""
        logits, scores = self._look(rgb, progress or (lambda done, total: None))
        score = float(max(scores))
        probability = float(self._platt.apply(score))
        # No place is likelier to be altered than the picture is: this keeps most authentic pictures free of specks.
        probability_map = np.minimum(_sigmoid(logits), np.float32(probability), out=logits)
        threshold = self.preset.threshold + _brightness(rgb)
        labels, instances = find_instances(probability_map, threshold, self.preset.area)
        low, high = self._thresholds(len(scores))
        verdict: Literal["forged", "authentic", "inconclusive"] = "inconclusive"
        if score >= high:
            verdict = "forged"
        elif score <= low:
            verdict = "authentic"
        return Localization(
            probability_map, labels > 0, labels, instances, probability, verdict, threshold, len(scores)
        )

    def _look(self, rgb: np.ndarray, progress: Callable[[int, int], None]) -> tuple[np.ndarray, list[float]]:
        """Logits float32[H, W] after the card's offset, and the score of each tile."""
        height, width = rgb.shape[:2]
        tiled = self.mode is Mode.tiles or (self.mode is Mode.auto and max(height, width) > LARGEST_WHOLE)
        if not tiled:
            seen = self._map(fitted(rgb, SIDE))
            progress(1, 1)
            return _enlarged(seen - self._offset, width, height), [float(top_score(seen))]
        tops, lefts = starts(height, SIDE, OVERLAP), starts(width, SIDE, OVERLAP)
        down, across = feather(tops, SIDE, height), feather(lefts, SIDE, width)
        logits, scores = np.zeros((height, width), np.float32), []
        for row, top in enumerate(tops):
            for column, left in enumerate(lefts):
                tile = rgb[top : top + SIDE, left : left + SIDE]
                h, w = tile.shape[:2]
                seen = self._map(fitted(tile, SIDE))
                scores.append(float(top_score(seen)))
                share = down[row, top : top + h, None] * across[column, left : left + w]
                logits[top : top + h, left : left + w] += share * _enlarged(seen - self._offset, w, h)
                progress(len(scores), len(tops) * len(lefts))
        return logits, scores

    def _map(self, picture: np.ndarray) -> np.ndarray:
        """uint8[448, 448, 3] to the members' common logits float32[112, 112]."""
        maps = []
        for turn in range(self.flips):
            laid = _laid(picture, turn)
            members = self._network(np.ascontiguousarray(laid[None]))[0][0]
            maps.append(_laid_back(combined(members, self._names, self._weights, self._union), turn))
        return np.max(maps, axis=0) if self.join == "max" else np.mean(maps, axis=0)

    def _thresholds(self, tiles: int) -> tuple[float, float]:
        """Scores (authentic at or below, forged at or above); the highest of many tiles is held to a lower rate each,
        1 - (1 - fpr)^(1/n) (Sidak 1967), as far as the card's curve reaches.
        """
        fpr = self.preset.fpr
        forged = self._forged.interpolate(max(1 - (1 - fpr) ** (1 / tiles), self._forged.rates[0]))
        return min(self._authentic.interpolate(fpr), forged), forged


def find_instances(probability_map: np.ndarray, threshold: float, area: float) -> tuple[np.ndarray, list[Instance]]:
    """Regions of float32[H, W] at `threshold` or above, connected over corners too, largest first.

    Smaller ones than `area`, in pixels of a picture of 512 x 512, are left out. Returns the labels int32[H, W] and the
    instances.
    """
    height, width = probability_map.shape
    called = (probability_map >= threshold).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(called, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    kept = [i for i in np.argsort(-areas, kind="stable") if areas[i] >= max(1, area * height * width / REFERENCE)]
    renamed = np.zeros(count, np.int32)
    renamed[kept] = np.arange(1, len(kept) + 1)
    instances = []
    for i in kept:
        left, top, w, h, size = (int(value) for value in stats[i])
        box = np.s_[top : top + h, left : left + w]
        mean = float(probability_map[box][labels[box] == i].mean())
        instances.append(Instance((left, top, w, h), size, size / (height * width), mean))
    np.take(renamed, labels, out=labels, mode="clip")  # in place: such maps can be large
    return labels, instances


def _brightness(rgb: np.ndarray) -> float:
    """What a picture's mean grey adds to the threshold."""
    grey = float(np.mean(cv2.mean(rgb)[:3]))
    return -0.10 if grey < DARK else -0.05 if grey < DIM else 0.05 if grey > BRIGHT else 0.0


def _enlarged(values: np.ndarray, width: int, height: int) -> np.ndarray:
    return cv2.resize(values.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)


def _laid(array: np.ndarray, turn: int) -> np.ndarray:
    """One of eight ways to lay a square picture: 0 to 3 mirrored across no, one or both axes, 4 to 7 turned too."""
    turned = np.rot90(array) if turn >= 4 else array
    return turned[:: -1 if turn & 1 else 1, :: -1 if turn & 2 else 1]


def _laid_back(array: np.ndarray, turn: int) -> np.ndarray:
    mirrored = array[:: -1 if turn & 1 else 1, :: -1 if turn & 2 else 1]
    return np.rot90(mirrored, -1) if turn >= 4 else mirrored


def _sigmoid(values: np.ndarray) -> np.ndarray:
    """In place: maps of a hundred megapixels are large."""
    np.negative(values, out=values)
    np.exp(values, out=values)
    values += 1
    return np.reciprocal(values, out=values)
