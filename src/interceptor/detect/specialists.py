"""The standard specialists at work: face clips and the base's tokens to one calibrated score each. No PyTorch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from interceptor.detect.ensemble import SPECIALISTS, Abstention, Prediction
from interceptor.detect.result import Sight
from interceptor.lenses import LENSES, Abstain
from interceptor.lenses.half import half
from interceptor.media.clips import FaceClip
from interceptor.metrics.calibration import Platt
from interceptor.runtime.network import Network
from interceptor.runtime.weights import FOLDER, WeightError, load_card

NO_NUMBER = "its network gave a score that is not a number"


@dataclass(frozen=True)
class Look:
    """What a specialist makes of one face."""

    log_odds: float
    """calibrated, of forgery"""
    shown: int
    """the moment that leans most towards forged"""
    seen: np.ndarray
    """float32[3, 224, 224]: that moment through the lens"""
    used: bool
    """whether the score rests on the lens"""
    saw: str
    """all that it looked at, in words"""

    def sight(self, moments: Sequence[FaceClip]) -> Sight:
        """The same as a report shows it, of the moments that were looked at."""
        moment = moments[self.shown]
        return Sight(float(moment.times[0]), moment.crops[0], self.seen, self.used, self.saw)


def told(code: str, moments: Sequence[FaceClip]) -> str:
    """What a specialist looked at in these moments, in words: crops, or the window in which a mouth was followed."""
    mouth = moments[0].mouth
    if LENSES[code].span is not None and mouth is not None:
        return f"the window from {mouth.times[0]:.1f} s to {mouth.times[-1]:.1f} s"
    return crops_told([float(moment.times[0]) for moment in moments])


def crops_told(times: Sequence[float]) -> str:
    """`16 crops from 0.2 s to 9.8 s`; of one, its time, unless it is the first frame's or a picture's."""
    if len(times) > 1:
        return f"{len(times)} crops from {times[0]:.1f} s to {times[-1]:.1f} s"
    return f"one crop at {times[0]:.1f} s" if times[0] else "one crop"


class Specialist:
    """One head: tokens and lens to logits, with the calibration of its card. Raises `WeightError`."""

    def __init__(self, code: str, folder: Path = FOLDER) -> None:
        self.code = code
        self.card = load_card(f"specialist_{code}", folder)
        try:
            self._platt = Platt(**self.card["calibration"])
            self._reads_lens = bool(self.card["reads_lens"])
        except (KeyError, TypeError) as error:
            message = f"{folder}/specialist_{code}.json: the card tells no calibration or not what it reads ({error!r})"
            raise WeightError(message) from error
        # In bfloat16 the small differences between places, which heads live by, are rounded away.
        self._network = Network(folder / f"specialist_{code}.onnx", quantized=False, precision_hint="f32")

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
        return float(np.mean(self._calibrated(tokens, seen)))

    def look(self, moments: Sequence[FaceClip], tokens: np.ndarray) -> Look:
        """The same of clips of one crop each, `tokens` float32[n, 49, 3072] in their order: the mean over those in
        which the lens has something to look at. Raises `Abstain` with the last one's reason where there is none.

        Sound is heard once: of the moments whose mouth is followed, the middle one.
        """
        lens = LENSES[self.code]
        candidates = list(range(len(moments)))
        if lens.span is not None:
            heard = [i for i in candidates if moments[i].mouth is not None] or candidates
            candidates = [heard[len(heard) // 2]]
        found: dict[int, np.ndarray] = {}
        blind = Abstain("the face has no crop")
        for i in candidates:
            try:
                found[i] = lens.look(moments[i])[0]
            except Abstain as abstained:
                blind = abstained
        if not found:
            raise blind
        indices = list(found)
        log_odds = self._calibrated(tokens[indices], np.stack(list(found.values())))
        shown = indices[int(np.argmax(log_odds))]
        saw = told(self.code, [moments[i] for i in indices])
        return Look(float(np.mean(log_odds)), shown, found[shown], self._reads_lens, saw)

    def _calibrated(self, tokens: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Tokens float32[n, 49, 3072] and lenses float32[n, 3, 224, 224] to calibrated log-odds float[n]. Raises
        `Abstain` for scores that are no numbers.
        """
        log_odds = self._platt.slope * self.logits(tokens, half(self.code, seen)) + self._platt.offset
        if not np.isfinite(log_odds).all():
            raise Abstain(NO_NUMBER)
        return log_odds


class Specialists:
    """All standard specialists whose files are there. One that is not abstains and says so; so does a damaged one,
    whose error, with the file's name and checksums, is in `damaged` too.
    """

    def __init__(self, codes: Collection[str] = tuple(SPECIALISTS), folder: Path = FOLDER) -> None:
        self.members: dict[str, Specialist] = {}
        self.absent: dict[str, Abstention] = {}
        self.damaged: list[str] = []
        for code in codes:
            if not any((folder / f"specialist_{code}{suffix}").exists() for suffix in (".json", ".onnx")):
                self.absent[code] = Abstention(reason=f"is not installed: there is no specialist_{code}.json")
                continue
            try:
                self.members[code] = Specialist(code, folder)
            except WeightError as error:
                self.absent[code] = Abstention(reason=str(error))
                self.damaged.append(str(error))

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
