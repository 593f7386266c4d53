"""The screen and the specialists at one table: what each counts, and whose probability the verdict follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from interceptor.detect.decision import Decision
from interceptor.detect.ensemble import SPECIALISTS, Abstention, Prediction, weighted_ensemble
from interceptor.detect.result import SpecialistScore
from interceptor.media.quality import Quality
from interceptor.metrics.calibration import Platt
from interceptor.metrics.stacking import Stack
from interceptor.runtime.weights import WeightError, load_card, sha256

MEMBERS = ("screen", *SPECIALISTS)
IDENTITY = Platt(1.0, 0.0)
ALONE = "decides alone"
NOT_COUNTED = "; not counted: "
NOT_FITTED = "no weight was fitted for it"


@dataclass(frozen=True)
class Answer:
    """What the panel says of one face."""

    score: float | None
    """on the scale of the panel's `decision`; None where no member with a weight saw anything"""
    screen: SpecialistScore | None
    """None in the fast tier"""
    specialists: dict[str, SpecialistScore]
    full: dict[str, SpecialistScore] = field(default_factory=dict)

    @property
    def voters(self) -> int:
        """Specialists that count."""
        return sum(part.weight > 0 for part in [*self.specialists.values(), *self.full.values()])

    def having_seen(self, saw: Mapping[str, str]) -> Answer:
        """The same, told what the screen and each standard specialist saw, by code."""

        def of(code: str, part: SpecialistScore) -> SpecialistScore:
            return part.model_copy(update={"saw": saw.get(code)})

        parts = {code: of(code, part) for code, part in self.specialists.items()}
        return replace(self, screen=self.screen and of("screen", self.screen), specialists=parts)


class Panel:
    """The screen's decision, and the ensemble's where its card (`ensemble.json`) is there.

    The card says which of the two decides (`verdict_from`) and `why`; `verdict_from` overrules it. An ensemble that was
    fitted with other weight files than those in `folder` never decides. Raises `WeightError` for a card of no use, and
    `ValueError` where the ensemble is asked for and cannot decide.
    """

    def __init__(
        self, screen: Decision, folder: Path, verdict_from: Literal["screen", "ensemble"] | None = None
    ) -> None:
        self.decision: Decision = screen
        self.verdict_from: Literal["screen", "ensemble"] = "screen"
        self.why = NOT_FITTED
        self._screen = screen
        self._stack: Stack | None = None
        card_file = folder / "ensemble.json"
        if card_file.is_file():
            card = load_card("ensemble", folder)
            try:
                stack, chosen, why = Stack.from_dict(card["stack"]), card["verdict_from"], str(card["why"])
                decision = Decision(card, card_file, screen.fpr)
                if not {"screen"} <= set(stack.members) <= set(MEMBERS):
                    raise KeyError(f"members {', '.join(stack.members)}")
                other = [name for name, digest in card["fitted_with"].items() if _differs(folder / name, digest)]
            except (KeyError, TypeError, AttributeError) as error:
                raise WeightError(f"{card_file}: the card is of no use ({error!r})") from error
            if other:
                self.why = f"the weights were fitted with another {', '.join(other)}"
            else:
                self.why, self._stack = why, stack
                if (verdict_from or chosen) == "ensemble":
                    self.verdict_from, self.decision = "ensemble", decision
        if verdict_from is not None and self.verdict_from != verdict_from:
            raise ValueError(f"the ensemble cannot decide: {self.why}")

    @property
    def gated(self) -> bool:
        """Whether the answer depends on the file's quality."""
        return self.verdict_from == "ensemble" and self._stack is not None and bool(self._stack.gates)

    def judge(
        self, logit: float, predictions: Mapping[str, Prediction | None], quality: Quality | None = None
    ) -> Answer:
        """One face: the screen's mean logit, and what each specialist says (calibrated log-odds, or why nothing).

        The stack weighs calibrated log-odds, the screen's too; `quality` opens and shuts its gates.
        """
        if self.verdict_from == "screen" or self._stack is None:
            screen = SpecialistScore(probability=float(self._screen.probability(logit)), weight=1.0, reason=ALONE)
            return Answer(logit, screen, {code: self._beside(predictions.get(code), self.why) for code in SPECIALISTS})
        own = self._screen.platt.slope * logit + self._screen.platt.offset
        known = {code: said for code, said in predictions.items() if code in self._stack.members}
        parts = weighted_ensemble({"screen": own, **known}, self._stack, quality.measures() if quality else None)
        specialists = {
            code: parts.specialists.get(code) or self._beside(predictions.get(code), NOT_FITTED) for code in SPECIALISTS
        }
        return Answer(parts.log_odds, parts.specialists["screen"], specialists)

    def _beside(self, said: Prediction | None, why: str) -> SpecialistScore:
        """A specialist that is shown and not counted."""
        if said is None:
            return SpecialistScore(probability=None, weight=0.0, reason="was not run")
        if isinstance(said, Abstention):
            return SpecialistScore(probability=None, weight=0.0, reason=said.reason)
        leans = "leans forged" if said > 0 else "leans authentic"
        return SpecialistScore(probability=float(IDENTITY.apply(said)), weight=0.0, reason=f"{leans}{NOT_COUNTED}{why}")


def silent(reason: str) -> dict[str, SpecialistScore]:
    """All six, where none ran."""
    return {code: SpecialistScore(probability=None, weight=0.0, reason=reason) for code in SPECIALISTS}


def _differs(file: Path, digest: str) -> bool:
    """Whether a weight file is there and is another one than was meant; a missing one makes its member abstain."""
    return file.is_file() and sha256(file) != digest
