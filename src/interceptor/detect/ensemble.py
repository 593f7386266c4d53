"""The ensemble as a library call: specialists' predictions in, one calibrated probability out, each member's part told.

    specialists = {"ll": ll, "bg": bg, ...}                 # anything callable: crops to a logit, or None
    predictions = {code: model(crops) for code, model in specialists.items()}
    weighted_ensemble(predictions, stack).probability

What a member says, how much it counted and why is kept for each face and for the file, also where it said nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
from pydantic import Field

from interceptor.detect.result import Model, SpecialistScore
from interceptor.lenses import LENSES
from interceptor.metrics.calibration import Platt
from interceptor.metrics.stacking import Stack

SPECIALISTS = {code: lens.name for code, lens in LENSES.items()}
"""The six specialists by code: what each looks at, in words for a report."""

IDENTITY = Platt(1.0, 0.0)


class Abstention(Model):
    """A specialist that gave no score, and why: `"no sound track"`, `"one single frame"`, ..."""

    reason: str


class EnsembleResult(Model):
    """The answer of all specialists together, for one face or one file."""

    probability: float | None = Field(description="calibrated, 0..1; null where every specialist abstains")
    log_odds: float | None = Field(description="of forgery; above 0 leans forged")
    specialists: dict[str, SpecialistScore] = Field(description="by code")


Prediction = float | Abstention
"""A specialist's raw score (logit; higher leans forged), or why there is none."""


def weighted_ensemble(
    predictions: Mapping[str, Prediction | None],
    stack: Stack | None = None,
    quality: Mapping[str, float] | None = None,
) -> EnsembleResult:
    """Combine raw scores by code; None or an `Abstention` drops out and the other weights renormalise.

    `stack` is what was fitted (`metrics.stacking.fit_stack`); its members may be any codes, and one that
    `predictions` does not name abstains. One whose gate `quality` (`Quality.measures`) does not open is set aside.
    Without a stack the scores must be calibrated log-odds already, and count equally: their mean is the answer. Raises
    `TypeError` for a score that is not one number, `ValueError` for one that is not finite or whose code the stack does
    not know, each naming the member.
    """
    scores, silent = _split(predictions)
    if stack is None:
        codes = tuple(predictions)
        log_odds = np.array([scores.get(code, np.nan) for code in codes])
        given = np.isfinite(log_odds)
        shares = given / max(given.sum(), 1)
        combined = float(log_odds[given].mean()) if given.any() else None
    else:
        codes = stack.members
        if unknown := sorted(set(predictions) - set(codes)):
            raise ValueError(f"no weight was fitted for {', '.join(unknown)}; the stack has {', '.join(codes)}")
        table = np.array([[scores.get(code, np.nan) for code in codes]])
        log_odds, shares = stack.member_log_odds(table)[0], stack.shares(table, quality)[0]
        answer = float(stack.log_odds(table, quality)[0])
        combined = answer if np.isfinite(answer) else None
    shut = {
        code: f"it counts only with {gate}"
        for code, gate in (stack.gates if stack else {}).items()
        if not gate.is_open(quality or {}, 1)[0]
    }
    entries = {
        code: _entry(scores.get(code), silent.get(code, "was not run"), float(value), float(share), shut.get(code))
        for code, value, share in zip(codes, log_odds, shares, strict=True)
    }
    return EnsembleResult(
        probability=None if combined is None else _probability(combined), log_odds=combined, specialists=entries
    )


def file_result(faces: Sequence[EnsembleResult]) -> EnsembleResult | None:
    """The file's answer is its worst face's, entries included; None where no face has one."""
    return max(
        (face for face in faces if face.log_odds is not None), key=lambda face: face.log_odds or 0.0, default=None
    )


def _split(predictions: Mapping[str, Prediction | None]) -> tuple[dict[str, float], dict[str, str]]:
    """Scores by code, and reasons by code of those that have none."""
    scores: dict[str, float] = {}
    silent: dict[str, str] = {}
    for code, said in predictions.items():
        if said is None:
            silent[code] = "gave no score"
        elif isinstance(said, Abstention):
            silent[code] = said.reason
        elif not isinstance(said, Real):
            raise TypeError(f"{code}: a score is one number, not {type(said).__name__}")
        elif np.isfinite(said):
            scores[code] = float(said)
        else:
            raise ValueError(f"{code}: the score {said} is not a finite number; an abstaining specialist gives None")
    return scores, silent


def _entry(score: float | None, why_not: str, log_odds: float, share: float, shut: str | None) -> SpecialistScore:
    if score is None:
        return SpecialistScore(probability=None, weight=0.0, reason=why_not)
    if not np.isfinite(log_odds):
        return SpecialistScore(probability=None, weight=0.0, reason="its scores were not found to point to forgeries")
    reason = "leans forged" if log_odds > 0 else "leans authentic"
    if shut is not None:
        reason += f"; set aside: {shut}"
    elif share == 0:
        reason += "; left out, for it adds nothing to the others on sources not seen"
    return SpecialistScore(probability=_probability(log_odds), weight=share, reason=reason)


def _probability(log_odds: float) -> float:
    return float(IDENTITY.apply(log_odds))
