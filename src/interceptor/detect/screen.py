"""The networks that judge every face: the screen of the standard tier, and the student of the fast one. No PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from interceptor.detect.decision import Decision
from interceptor.runtime.network import Network
from interceptor.runtime.weights import FOLDER, load_card

BATCH = 32


class Seen(NamedTuple):
    """What the network makes of n crops."""

    logits: np.ndarray
    """float32[n]; above 0 leans forged"""
    heat: np.ndarray
    """float32[n, 14, 14]: each patch's share of the logit; [0, 14, 14] of the student, which has none"""
    tokens: np.ndarray
    """float32[n, 49, 3072]: the base's pooled tokens, for the specialists' heads; [0, 49, 3072] of the student"""


class ScreenNetwork:
    """The screen's network alone."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._network = Network(folder / "screen.onnx", outputs=("logit", "heat", "tokens"))

    def look(self, crops: np.ndarray) -> Seen:
        """uint8[n, 224, 224, 3] RGB, in batches."""
        parts = [self._network(crops[i : i + BATCH]) for i in range(0, len(crops), BATCH)]
        if not parts:
            return Seen(*(np.empty(shape, np.float32) for shape in ((0,), (0, 14, 14), (0, 49, 3072))))
        return Seen(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def __call__(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits and heat maps alone."""
        return self.look(crops)[:2]


class Screen(ScreenNetwork, Decision):
    """The network with the calibration and thresholds of its card.

    Raises `WeightError` for files that are not what the card says, `ValueError` for a false-alarm rate off its curve.
    """

    def __init__(self, folder: Path = FOLDER, *, fpr: float = 0.05) -> None:
        self.card = load_card("screen", folder)
        Decision.__init__(self, self.card, folder / "screen.json", fpr)
        ScreenNetwork.__init__(self, folder)


class Student(Decision):
    """The fast tier's network: `student.onnx`, from `crops` uint8[n, 224, 224, 3] RGB to `logit` float32[n].

    Its card holds `calibration` and `thresholds` as the screen's does. Raises as `Screen`.
    """

    def __init__(self, folder: Path = FOLDER, *, fpr: float = 0.05) -> None:
        self.card = load_card("student", folder)
        super().__init__(self.card, folder / "student.json", fpr)
        self._network = Network(folder / "student.onnx", outputs=("logit",))

    def look(self, crops: np.ndarray) -> Seen:
        """uint8[n, 224, 224, 3] RGB, in batches."""
        parts = [self._network(crops[i : i + BATCH])[0] for i in range(0, len(crops), BATCH)]
        nothing = (np.empty((0, 14, 14), np.float32), np.empty((0, 49, 3072), np.float32))
        return Seen(np.concatenate(parts) if parts else np.empty(0, np.float32), *nothing)
