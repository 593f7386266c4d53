"""The standard specialists at work: face clips and the base's tokens to one calibrated score each. No PyTorch."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from interceptor.detect.ensemble import SPECIALISTS, Abstention, Prediction
from interceptor.lenses import LENSES, Abstain
from interceptor.lenses.half import half
from interceptor.media.clips import FaceClip
from interceptor.metrics.calibration import Platt
from interceptor.runtime.network import Network
from interceptor.runtime.weights import FOLDER, WeightError, load_card


class Specialist:
    """One head: tokens and lens to logits, with the calibration of its card. Raises `WeightError`."""

    def __init__(self, code: str, folder: Path = FOLDER) -> None:
        self.code = code
        self.card = load_card(f"specialist_{code}", folder)
        try:
            self._platt = Platt(**self.card["calibration"])
        except (KeyError, TypeError) as error:
            raise WeightError(f"{folder}/specialist_{code}.json: the card holds no calibration ({error!r})") from error
        self._network = Network(folder / f"specialist_{code}.onnx", quantized=False)

    def logits(self, tokens: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Tokens float32[n, 49, 3072] and half lenses float32[n, 3, 112, 112] to raw scores float32[n]."""
        return self._network(tokens.astype(np.float32), seen.astype(np.float32))[0]

    def log_odds(self, clip: FaceClip, tokens: np.ndarray) -> float:
        """Calibrated log-odds of forgery, the mean over the clip's crops. Raises `Abstain` as the lens does.

        The sound of a clip is one for all its crops: the audio-visual specialist looks at the middle one.
        """
        if LENSES[self.code].span is not None:
            middle = slice(len(tokens) // 2, len(tokens) // 2 + 1)
            seen, tokens = LENSES[self.code].look(clip)[middle], tokens[middle]
        else:
            seen = LENSES[self.code].look(clip)
        logits = self.logits(tokens, half(self.code, seen))
        return float(np.mean(self._platt.slope * logits + self._platt.offset))


class Specialists:
    """All standard specialists whose files are there; one that is missing or damaged abstains and says so."""

    def __init__(self, codes: Collection[str] = tuple(SPECIALISTS), folder: Path = FOLDER) -> None:
        self.members: dict[str, Specialist] = {}
        self.absent: dict[str, Abstention] = {}
        for code in codes:
            try:
                self.members[code] = Specialist(code, folder)
            except WeightError as error:
                self.absent[code] = Abstention(reason=str(error))

    def __call__(self, clip: FaceClip, tokens: np.ndarray) -> dict[str, Prediction]:
        """What each says of one face, ready for `weighted_ensemble`: calibrated log-odds, or why there is none.

        `tokens`: the base's pooled tokens of `clip.crops`, float32[n, 49, 3072], in their order. Raises `ValueError`
        where they are not as many.
        """
        if len(tokens) != len(clip.crops):
            raise ValueError(f"{len(tokens)} token grids for {len(clip.crops)} crops")
        found: dict[str, Prediction] = dict(self.absent)
        for code, member in self.members.items():
            try:
                found[code] = member.log_odds(clip, tokens)
            except Abstain as blind:
                found[code] = Abstention(reason=blind.reason)
        return found
