"""The screen at work: crops to logits, logits to a calibrated probability and a verdict. No PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from interceptor.metrics.calibration import Platt, RiskCurve
from interceptor.runtime.network import Network
from interceptor.runtime.weights import FOLDER, WeightError, load_card

BATCH = 32


class ScreenNetwork:
    """The screen's network alone: crops to logits and heat maps."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._network = Network(folder / "screen.onnx", outputs=("logit", "heat"))

    def __call__(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """uint8[n, 224, 224, 3] RGB to logits float32[n] and patch shares float32[n, 14, 14]."""
        if not len(crops):
            return np.empty(0, np.float32), np.empty((0, 14, 14), np.float32)
        parts = [self._network(crops[i : i + BATCH]) for i in range(0, len(crops), BATCH)]
        logits, heat = (np.concatenate(part) for part in zip(*parts, strict=True))
        return logits, heat


class Screen(ScreenNetwork):
    """The network with the calibration and thresholds of its card.

    Raises `WeightError` for files that are not what the card says, `ValueError` for a false-alarm rate off its curve.
    """

    def __init__(self, folder: Path = FOLDER, *, fpr: float = 0.05) -> None:
        self.card = load_card("screen", folder)
        self.fpr = fpr
        try:
            self._platt = Platt(**self.card["calibration"])
            self._forged = RiskCurve(**self.card["thresholds"]["forged"])
            self._authentic = RiskCurve(**self.card["thresholds"]["authentic"])
        except (KeyError, TypeError) as error:
            raise WeightError(f"{folder / 'screen.json'}: the card holds no usable calibration ({error!r})") from error
        self.thresholds()  # a rate off the curves is refused before any file is read
        super().__init__(folder)

    def probability(self, logits: np.ndarray | float) -> np.ndarray:
        """Calibrated probability of forgery (Platt scaling with the card's parameters), float64 of the same shape."""
        return self._platt.apply(logits)

    def thresholds(self, faces: int = 1) -> tuple[float, float]:
        """(authentic at or below, forged at or above) as logits, so that a file of several faces keeps the stated rate.

        The worst of n faces decides, so each is held to the rate 1 - (1 - fpr)^(1/n) (Sidak 1967), as far as the
        card's curve reaches.
        """
        each = max(1 - (1 - self.fpr) ** (1 / max(faces, 1)), self._forged.rates[0])
        forged = self._forged.interpolate(each)
        return min(self._authentic.interpolate(self.fpr), forged), forged

    def verdict(self, logit: float, faces: int = 1) -> Literal["forged", "authentic", "inconclusive"]:
        low, high = self.thresholds(faces)
        if logit >= high:
            return "forged"
        return "authentic" if logit <= low else "inconclusive"
