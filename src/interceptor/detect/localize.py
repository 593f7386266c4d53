"""Where a picture was altered: the localizers at work. No PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, TypeVar

import cv2
import numpy as np

from interceptor.detect.instances import Instance, find_instances
from interceptor.detect.sight import FullSight, Sight, StandardSight
from interceptor.media.tiles import feather, resized, starts
from interceptor.metrics.calibration import Platt, RiskCurve
from interceptor.metrics.maps import combined, top_score
from interceptor.runtime.weights import FOLDER, WeightError, load_card

Option = TypeVar("Option", bound=StrEnum)

OVERLAP = 64
"""Pixels that neighbouring tiles share, at least."""
LARGEST_WHOLE = 1024
"""Pixels of the longer side up to which a picture is looked at as a whole unless told otherwise."""
LEAST_JUDGED = 64
"""Pixels of the shorter side below which a picture is `inconclusive`: nothing so small was learned from."""
DARK, DIM, BRIGHT = 50, 80, 200
"""Mean grey below or above which the threshold moves: by -0.10, -0.05 and +0.05."""


class Tier(StrEnum):
    """Which localizers look: those that ship, or the six networks of their own that can be installed."""

    standard = "standard"
    full = "full"


CARDS = {Tier.standard: "localizer.json", Tier.full: "localizer_full.json"}


class Mode(StrEnum):
    """How a picture is looked at: `auto` tiles what is longer than 1024 pixels."""

    auto = "auto"
    whole = "whole"
    tiles = "tiles"


class Join(StrEnum):
    """What becomes of the maps of several flips."""

    mean = "mean"
    max = "max"


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
class Localization:
    """What was found in one picture."""

    probability_map: np.ndarray
    """float32[H, W], 0..1, at the picture's own size; nowhere above `probability`."""
    mask: np.ndarray
    """bool[H, W]: the instances."""
    labels: np.ndarray
    """Unsigned integers [H, W]: 0, or the number of the instance, counted from 1."""
    instances: list[Instance]
    """Largest first."""
    probability: float
    """Calibrated, 0..1: that anything in the picture is altered."""
    verdict: Literal["forged", "authentic", "inconclusive"]
    threshold: float
    """From which a pixel was called."""
    tiles: int
    """Looks at the picture, flips not counted."""
    seen: int
    """Pixels a side of what a network saw at once; smaller than usual where memory ran out."""


class Localizer:
    """A tier's localizers with the calibration of their card.

    The card and the files it names lie in `folder`: `localizer.json` for the standard tier, `localizer_full.json` for
    the full one. `flips` 1, 4 or 8: every look also at the mirrored (and turned) picture, joined by `join`. Raises
    `WeightError` for files that are not what the card says, `ValueError` for settings there are none of.
    """

    def __init__(
        self,
        folder: Path = FOLDER,
        *,
        tier: Tier | str = Tier.standard,
        preset: str = "balanced",
        mode: Mode | str = Mode.auto,
        flips: int = 1,
        join: Join | str = Join.mean,
    ) -> None:
        if preset not in PRESETS:
            raise ValueError(f"no preset {preset!r}; choose from {', '.join(PRESETS)}")
        if flips not in (1, 4, 8):
            raise ValueError(f"flips are 1, 4 or 8, not {flips}")
        self.preset, self.mode, self.flips, self.join = PRESETS[preset], _choice(Mode, mode), flips, _choice(Join, join)
        tier = _choice(Tier, tier)
        path = folder / CARDS[tier]
        if tier is Tier.full and not path.is_file():
            raise WeightError(f"{path}: missing; the full tier needs its card, see docs/localize.md")
        self.card = load_card(path.stem, folder)
        try:
            self._names = list(self.card["members"])
            self._weights, self._union = dict(self.card["weights"]), dict(self.card["union"])
            self._offset = float(self.card["pixel_offset"])
            self._platt = Platt(**self.card["calibration"])
            self._forged = RiskCurve(**self.card["thresholds"]["forged"])
            self._authentic = RiskCurve(**self.card["thresholds"]["authentic"])
            self._sight = _sight(tier, folder, self.card, flips)
        except (KeyError, TypeError, ValueError, FileNotFoundError) as error:
            raise WeightError(f"{path}: the card is of no use ({error!r})") from error
        if not self._names or sorted(self._names) != sorted([*self._weights, *self._union]):
            raise WeightError(f"{path}: each member must stand in either weights or union")

    def localize(self, rgb: np.ndarray, progress: Callable[[int, int], None] | None = None) -> Localization:
        """Look at a picture uint8[H, W, 3] RGB of any size; `progress` is told (tiles done, in all).

        Raises `MemoryError`. A picture of n pixels needs about 12 n bytes beside its own, see docs/localize.md.
        """
        try:
            return self._localize(rgb, progress or (lambda done, total: None))
        except cv2.error as error:
            if error.code == cv2.Error.StsNoMem:
                raise MemoryError(str(error)) from error
            raise

    def _localize(self, rgb: np.ndarray, progress: Callable[[int, int], None]) -> Localization:
        logits, scores = self._look(rgb, progress)
        score = float(max(scores))
        probability = float(self._platt.apply(score))
        probability_map = _under(_sigmoid(logits), probability)
        threshold = self.preset.threshold + _brightness(rgb)
        labels, instances = find_instances(probability_map, threshold, self.preset.area)
        low, high = self._thresholds(len(scores))
        verdict: Literal["forged", "authentic", "inconclusive"] = "inconclusive"
        if min(rgb.shape[:2]) >= LEAST_JUDGED and not low < score < high:
            verdict = "forged" if score >= high else "authentic"
        return Localization(
            probability_map,
            labels > 0,
            labels,
            instances,
            probability,
            verdict,
            threshold,
            len(scores),
            self._sight.tile,
        )

    def _look(self, rgb: np.ndarray, progress: Callable[[int, int], None]) -> tuple[np.ndarray, list[float]]:
        """Logits float32[H, W] after the card's offset, and the score of each tile."""
        height, width = rgb.shape[:2]
        tiled = self.mode is Mode.tiles or (self.mode is Mode.auto and max(height, width) > LARGEST_WHOLE)
        if not tiled:
            seen = self._map(rgb)
            progress(1, 1)
            return resized(seen - np.float32(self._offset), width, height), [float(top_score(seen))]
        side = self._sight.side
        tops, lefts = starts(height, side, OVERLAP), starts(width, side, OVERLAP)
        down, across = feather(tops, side, height), feather(lefts, side, width)
        logits, scores = np.zeros((height, width), np.float32), []
        for row, top in enumerate(tops):
            for column, left in enumerate(lefts):
                tile = rgb[top : top + side, left : left + side]
                h, w = tile.shape[:2]
                seen = self._map(tile)
                scores.append(float(top_score(seen)))
                share = down[row, top : top + h, None] * across[column, left : left + w]
                logits[top : top + h, left : left + w] += share * resized(seen - np.float32(self._offset), w, h)
                progress(len(scores), len(tops) * len(lefts))
        return logits, scores

    def _map(self, patch: np.ndarray) -> np.ndarray:
        """uint8[H, W, 3] to the members' common logits float32[h, w], as large as the networks paint them."""
        seen = self._sight(patch)
        if len(seen[0]) != len(self._names):
            raise WeightError(f"the network paints {len(seen[0])} maps, its card names {len(self._names)} members")
        maps = [combined(members, self._names, self._weights, self._union) for members in seen]
        return np.max(maps, axis=0) if self.join is Join.max else np.mean(maps, axis=0)

    def _thresholds(self, tiles: int) -> tuple[float, float]:
        """Scores (authentic at or below, forged at or above); the highest of many tiles is held to a lower rate each,
        1 - (1 - fpr)^(1/n) (Sidak 1967), as far as the card's curve reaches.
        """
        fpr = self.preset.fpr
        forged = self._forged.interpolate(max(1 - (1 - fpr) ** (1 / tiles), self._forged.rates[0]))
        return min(self._authentic.interpolate(fpr), forged), forged


def _choice(options: type[Option], value: str) -> Option:
    """Raises `ValueError` naming the options."""
    try:
        return options(value)
    except ValueError:
        raise ValueError(f"no {options.__name__.lower()} {value!r}; choose from {', '.join(options)}") from None


def _sight(tier: Tier, folder: Path, card: dict[str, Any], flips: int) -> Sight:
    """Raises `WeightError`, and `KeyError` or `TypeError` for a card that says too little."""
    if tier is Tier.standard:
        return StandardSight(folder / "localizer.onnx", flips)
    return FullSight(
        {folder / f"localizer_full_{name}.onnx": card["channels"][name] for name in card["members"]}, flips
    )


def _brightness(rgb: np.ndarray) -> float:
    """What a picture's mean grey adds to the threshold."""
    grey = float(np.mean(cv2.mean(rgb)[:3]))
    return -0.10 if grey < DARK else -0.05 if grey < DIM else 0.05 if grey > BRIGHT else 0.0


def _under(values: np.ndarray, ceiling: float) -> np.ndarray:
    """Probabilities float32[H, W] brought below `ceiling`, in place: no place is likelier to be altered than the
    picture is, which keeps most authentic pictures free of specks.

    Those above 0.95 of the ceiling are pressed together, not cut off, so that the likelier place stays the likelier.
    """
    knee = 0.95 * ceiling
    slope = np.float32((ceiling - knee) / (1 - knee))
    for row in values:
        np.copyto(row, np.float32(knee) + (row - np.float32(knee)) * slope, where=row > knee)
    return values


def _sigmoid(values: np.ndarray) -> np.ndarray:
    """In place: maps of a hundred megapixels are large."""
    np.negative(values, out=values)
    np.exp(values, out=values)
    values += 1
    return np.reciprocal(values, out=values)
