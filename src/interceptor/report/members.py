"""What a report shows of the screen and the specialists: scores, weights, reasons, and what each saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from interceptor.detect.ensemble import SPECIALISTS
from interceptor.detect.panel import NOT_COUNTED
from interceptor.detect.result import FaceResult, Sight, SpecialistScore
from interceptor.lenses import LENSES, Lens
from interceptor.report.charts import jpeg_whole
from interceptor.report.sheets import coloured

_PANEL: Final = 168
_GAP: Final = 4
_MARK: Final = (150, 156, 166)
"""Each half second, where columns are time."""
UNUSED: Final = "This score comes from the face as a whole: the lens is shown for the eye and had no part in it."


@dataclass
class MemberView:
    """One member of the answer."""

    code: str
    name: str
    score: SpecialistScore
    reason: str
    kind: str
    """`forged` or `authentic`: which way its own probability leans"""
    picture: str | None = None
    """data URI: the crop and the three channels of the lens, side by side"""
    panels: tuple[str, ...] = ()
    time: float | None = None
    reading: str = ""
    used: bool = True
    """whether the score rests on the lens"""


def speaking(face: FaceResult, sights: dict[str, Sight]) -> list[MemberView]:
    """Members that gave a score: the screen, the specialists, and the full ones."""
    views = [] if face.screen is None else [_view("screen", "whole face", face.screen)]
    views += [
        _view(code, SPECIALISTS[code], score, sights.get(code))
        for code, score in face.specialists.items()
        if score.probability is not None
    ]
    return views + [
        _view(f"{code} full", SPECIALISTS[code], score, sights.get(f"{code} full"))
        for code, score in face.full.items()
        if score.probability is not None
    ]


def silent(face: FaceResult) -> list[tuple[str, str]]:
    """(who, why) of those that gave none; those with the same reason together."""
    found = [(code.upper(), SPECIALISTS[code], score) for code, score in face.specialists.items()]
    found += [(f"{code.upper()} full", SPECIALISTS[code], score) for code, score in face.full.items()]
    by_reason: dict[str, list[str]] = {}
    for code, name, score in found:
        if score.probability is None:
            by_reason.setdefault(score.reason, []).append(f"{code} ({name})")
    return [(", ".join(who), why) for why, who in by_reason.items()]


def uncounted(face: FaceResult) -> list[str]:
    """Why members that gave a score do not count, each reason once."""
    reasons = [score.reason.partition(NOT_COUNTED)[2] for score in face.specialists.values()]
    return list(dict.fromkeys(reason for reason in reasons if reason))


def _view(code: str, name: str, score: SpecialistScore, sight: Sight | None = None) -> MemberView:
    leans, apart, _ = score.reason.partition(NOT_COUNTED)
    kind = "forged" if (score.probability or 0) >= 0.5 else "authentic"
    view = MemberView(code, name, score, f"{leans}; not counted" if apart else leans, kind)
    if sight is not None:
        lens = LENSES[code.removesuffix(" full")]
        view.panels = ("the face", *(channel.name for channel in lens.channels))
        view.picture = jpeg_whole(strip(lens, sight), 4 * _PANEL + 3 * _GAP, quality=82)
        view.time, view.reading = sight.time, lens.reading if sight.used else f"{UNUSED} {lens.reading}"
        view.used = sight.used
    return view


def strip(lens: Lens, sight: Sight) -> np.ndarray:
    """uint8[h, w, 3] RGB: the face, then the three channels of the lens in the colours of `interceptor lens`."""
    channels = zip(sight.seen, lens.channels, strict=True)
    pictures = [sight.crop, *(coloured(values, channel.kind) for values, channel in channels)]
    gap = np.full((_PANEL, _GAP, 3), 255, np.uint8)
    span = lens.span or 0.0
    parts: list[np.ndarray] = []
    for number, picture in enumerate(pictures):
        panel = cv2.resize(picture, (_PANEL, _PANEL), interpolation=cv2.INTER_AREA)
        for half in range(1, int(2 * span) + 1) if number else ():
            panel[::6, round(half / 2 / span * _PANEL)] = _MARK
        parts += [panel, gap]
    return np.concatenate(parts[:-1], axis=1)
