"""From a score to a probability and a verdict, by what a card holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from interceptor.metrics.calibration import Platt, RiskCurve
from interceptor.runtime.weights import WeightError


class Decision:
    """Calibration and thresholds of a card, at a stated false-alarm rate.

    `card` holds `calibration` (`slope`, `offset`) and `thresholds` (`forged` and `authentic`, see `RiskCurve`), `path`
    names it in errors. Raises `WeightError` for a card of no use, `ValueError` for a rate off its curves.
    """

    def __init__(self, card: dict[str, Any], path: Path, fpr: float) -> None:
        self.fpr = fpr
        try:
            self.platt = Platt(**card["calibration"])
            self._forged = RiskCurve(**card["thresholds"]["forged"])
            self._authentic = RiskCurve(**card["thresholds"]["authentic"])
        except (KeyError, TypeError) as error:
            raise WeightError(f"{path}: the card holds no usable calibration ({error!r})") from error
        self.thresholds()  # a rate off the curves is refused before any file is read

    def probability(self, scores: np.ndarray | float) -> np.ndarray:
        """Calibrated probability of forgery (Platt scaling with the card's parameters), float64 of the same shape."""
        return self.platt.apply(scores)

    def thresholds(self, faces: int = 1) -> tuple[float, float]:
        """(authentic at or below, forged at or above) as scores, so that a file of several faces keeps the stated rate.

        The worst of n faces decides, so each is held to the rate 1 - (1 - fpr)^(1/n) (Sidak 1967), as far as the
        card's curve reaches.
        """
        each = max(1 - (1 - self.fpr) ** (1 / max(faces, 1)), self._forged.rates[0])
        forged = self._forged.interpolate(each)
        return min(self._authentic.interpolate(self.fpr), forged), forged

    def verdict(self, score: float, faces: int = 1) -> Literal["forged", "authentic", "inconclusive"]:
        low, high = self.thresholds(faces)
        if score >= high:
            return "forged"
        return "authentic" if score <= low else "inconclusive"
