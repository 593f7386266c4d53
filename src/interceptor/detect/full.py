"""The full tier: specialists of their own networks, run where the router finds that they pay.

A folder holds, for each that is installed, `full_CODE.onnx` and its card `full_CODE.json`: `docs/ensemble.md` has what
both must hold.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from interceptor.detect.decision import Decision
from interceptor.detect.ensemble import SPECIALISTS, Abstention, EnsembleResult, Prediction
from interceptor.detect.panel import ALONE, IDENTITY, Answer
from interceptor.detect.result import Sight, SpecialistScore
from interceptor.detect.router import Choice, route
from interceptor.detect.router import Decision as Routed
from interceptor.detect.specialists import NO_NUMBER, Look, told
from interceptor.lenses import LENSES, Abstain
from interceptor.lenses.half import HALF_SIZE, half
from interceptor.media.clips import FaceClip
from interceptor.media.crops import CROP_SIZE
from interceptor.media.enhancement import STEPS, enhance
from interceptor.media.quality import Quality
from interceptor.metrics.calibration import Platt
from interceptor.runtime.network import Network, brief
from interceptor.runtime.weights import WeightError, load_card

VARIABLE = "INTERCEPTOR_MODELS"
"""Names the folder where no other is given."""
NOT_WEIGHED = "shown and not counted: its card states no weight"


def models_folder(given: Path | None) -> Path | None:
    """The folder of the full tier's networks: `given`, or what the environment names; None where neither does.

    Raises `ValueError` for one that is not there.
    """
    named = given or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if named is not None and not named.is_dir():
        raise ValueError(f"{named}: no such folder of models")
    return named


class FullSpecialist:
    """One network: crops and lens to a calibrated log-odds. Raises `WeightError`; the network is compiled when first
    run.
    """

    def __init__(self, code: str, folder: Path) -> None:
        self.code, self._file = code, folder / f"full_{code}.onnx"
        card = load_card(f"full_{code}", folder)
        self.digests: dict[str, str] = dict(card["files"])
        try:
            self._platt = Platt(**card["calibration"])
            self._steps = list(card["preprocessing"])
            self._size = int(card["lens_size"])
            self.weight = float(card.get("weight", 0.0))
            if self._file.name not in card["files"]:
                raise KeyError(self._file.name)
            if unknown := [step for step in self._steps if step not in STEPS]:
                raise ValueError(f"preprocessing {', '.join(unknown)}")
            if self._size not in (CROP_SIZE, HALF_SIZE) or not 0 <= self.weight < np.inf:
                raise ValueError(f"lens_size {self._size}, weight {self.weight}")
        except (KeyError, TypeError, ValueError) as error:
            raise WeightError(f"{folder / f'full_{code}.json'}: the card is of no use ({error!r})") from error

    @cached_property
    def _network(self) -> Network:
        try:
            return Network(self._file, outputs=("logit",), quantized=False)
        except WeightError as error:
            raise WeightError(f"{error} ({self._checksum})") from error

    @property
    def _checksum(self) -> str:
        return f"SHA-256 {self.digests[self._file.name]}, as its card says"

    def look(self, moments: Sequence[FaceClip]) -> Look:
        """The mean over a face's moments, clips of one crop each. Raises `Abstain` where its lens sees none of them or
        the score is no number, `WeightError` for a network that cannot be run.
        """
        crops, seen, at = [], [], []
        blind = Abstain("the face has no crop")
        for number, moment in enumerate(moments):
            try:
                seen.append(LENSES[self.code].look(moment))
            except Abstain as abstained:
                blind = abstained
                continue
            crops.append(enhance(moment.crops[0], self._steps))
            at.append(number)
        if not seen:
            raise blind
        whole = np.concatenate(seen)
        lens = half(self.code, whole) if self._size == HALF_SIZE else whole
        network = self._network
        try:
            logits = network(np.stack(crops), lens)[0]
        except RuntimeError as error:
            why = f"the network cannot be run on crops and lens: {brief(error)}"
            raise WeightError(f"{self._file}: {why} ({self._checksum})") from error
        log_odds = self._platt.slope * logits + self._platt.offset
        if not np.isfinite(log_odds).all():
            raise Abstain(NO_NUMBER)
        shown = int(np.argmax(log_odds))
        saw = told(self.code, [moments[number] for number in at])
        return Look(float(np.mean(log_odds)), at[shown], whole[shown], used=True, saw=saw)


class FullSpecialists:
    """Those of `choice` that a folder holds. `errors` names files of no use, with their checksums where these differ;
    the others still run. That a network cannot be loaded or run is only known when it is first needed.
    """

    def __init__(self, folder: Path | None, choice: Choice = None) -> None:
        self.members: dict[str, FullSpecialist] = {}
        self.damaged: dict[str, str] = {}
        self._choice = choice
        self._asked = [code for code in SPECIALISTS if choice is None or code in choice]
        self._where = f" in {folder}"
        if folder is None:
            self._where = f": no folder of full specialists is named (--models or {VARIABLE})"
        for code in self._asked if folder is not None else ():
            assert folder is not None
            if any((folder / f"full_{code}{suffix}").exists() for suffix in (".json", ".onnx")):
                try:
                    self.members[code] = FullSpecialist(code, folder)
                except WeightError as error:
                    self.damaged[code] = str(error)

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 by file name."""
        return {name: digest for member in self.members.values() for name, digest in member.digests.items()}

    @property
    def errors(self) -> list[str]:
        return list(self.damaged.values())

    @property
    def remark(self) -> str | None:
        """That none of those asked for is there, where that is so."""
        if not self._asked or self.members or self.damaged:
            return None
        named = ", ".join(self._asked)
        return f"of the full specialists {named} none is installed{self._where}; scanning as in the standard tier"

    def route(self, quality: Quality, standard: Answer, decision: Decision, deciding: int) -> dict[str, Routed]:
        """Which run on a file, and why; `standard` is what was said of its most suspicious face, of `deciding` ones."""
        log_odds = None if standard.score is None else _log_odds(standard.score, decision)
        said = EnsembleResult(
            probability=None if log_odds is None else float(IDENTITY.apply(log_odds)),
            log_odds=log_odds,
            specialists=standard.specialists,
        )
        verdict = "inconclusive" if standard.score is None else decision.verdict(standard.score, deciding)
        routed = route(quality, said, verdict, set(self.members) - set(self.damaged), self._choice)
        absent = f"is not installed{self._where}"
        missing = {code: absent for code in self._asked if code not in self.members} | self.damaged
        return routed | {code: Routed(False, why) for code, why in missing.items()}

    def weigh_in(
        self, answer: Answer, moments: Sequence[FaceClip], routed: Mapping[str, Routed], decision: Decision
    ) -> tuple[Answer, dict[str, Sight]]:
        """The answer on one face with the full specialists that run: their log-odds beside the standard answer's, which
        weighs 1, by the weights that their cards state; and what each saw, by its code and " full".
        """
        said: dict[str, Prediction] = {}
        sights: dict[str, Sight] = {}
        for code, choice in routed.items():
            if not choice.run or code in self.damaged:
                said[code] = Abstention(reason=self.damaged.get(code, choice.reason))
                continue
            try:
                look = self.members[code].look(moments)
                said[code], sights[f"{code} full"] = look.log_odds, look.sight(moments)
            except Abstain as blind:
                said[code] = Abstention(reason=blind.reason)
            except WeightError as error:
                self.damaged[code] = str(error)
                said[code] = Abstention(reason=str(error))
        scores = {code: value for code, value in said.items() if not isinstance(value, Abstention)}
        weights = {code: self.members[code].weight for code in scores}
        standard = 0.0 if answer.score is None else 1.0
        total = standard + sum(weights.values())
        full = {code: self._part(value, routed[code], weights.get(code, 0.0), total) for code, value in said.items()}
        full |= {code: full[code].model_copy(update={"saw": sights[f"{code} full"].saw}) for code in scores}
        counting = [code for code, weight in weights.items() if weight]
        if not counting:
            return replace(answer, full=full), sights
        own = 0.0 if answer.score is None else _log_odds(answer.score, decision)
        combined = (standard * own + sum(weights[code] * scores[code] for code in scores)) / total
        together = Answer(
            (combined - decision.platt.offset) / decision.platt.slope,
            answer.screen and _shrunk(answer.screen, standard / total, f"decides with full {', '.join(counting)}"),
            {code: _shrunk(part, standard / total) for code, part in answer.specialists.items()},
            full,
        )
        return together, sights

    def _part(self, said: Prediction, routed: Routed, weight: float, total: float) -> SpecialistScore:
        if isinstance(said, Abstention):
            return SpecialistScore(probability=None, weight=0.0, reason=said.reason)
        leans = "leans forged" if said > 0 else "leans authentic"
        share = weight / total if weight else 0.0
        reason = f"{leans}; ran: {routed.reason}" + ("" if weight else f"; {NOT_WEIGHED}")
        return SpecialistScore(probability=float(IDENTITY.apply(said)), weight=share, reason=reason)


def _log_odds(score: float, decision: Decision) -> float:
    return decision.platt.slope * score + decision.platt.offset


def _shrunk(part: SpecialistScore, share: float, beside: str = "") -> SpecialistScore:
    reason = beside if part.reason == ALONE else part.reason
    return part.model_copy(update={"weight": part.weight * share, "reason": reason})
