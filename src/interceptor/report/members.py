"""What a report shows of the screen and the specialists: scores, weights, reasons, and what each saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from interceptor.detect.ensemble import SPECIALISTS
from interceptor.detect.result import FaceResult, Sight, SpecialistScore
from interceptor.lenses import LENSES
from interceptor.report.charts import jpeg_whole
from interceptor.report.sheets import coloured

_PANEL: Final = 168
_GAP: Final = 4
_MARK: Final = (150, 156, 166)
"""Each half second, where columns are time."""


@dataclass
class MemberView:
    """One member of the answer."""

    code: str
    name: str
    score: SpecialistScore
    kind: str
    """`forged` or `authentic`: which way its own probability leans"""
    picture: str | None = None
    """data URI: the crop and the three channels of the lens, side by side"""
    panels: tuple[str, ...] = ()
    time: float | None = None
    reading: str = ""


def speaking(face: FaceResult, sights: dict[str, Sight]) -> list[MemberView]:
    """Members that gave a score: the screen, the specialists, and the full ones."""
    views = [] if face.screen is None else [_view("screen", "whole face", face.screen)]
    views += [
        _view(code, SPECIALISTS[code], score, sights.get(code))
        for code, score in face.specialists.items()
        if score.probability is not None
    ]
    return views + [
        _view(f"{code} full", f"{SPECIALISTS[code]}, full", score)
        for code, score in face.full.items()
        if score.probability is not None
    ]


def silent(face: FaceResult) -> list[tuple[str, str, str]]:
    """(code, name, why) of those that gave none."""
    found = [(code, SPECIALISTS[code], score) for code, score in face.specialists.items()]
    found += [(f"{code} full", f"{SPECIALISTS[code]}, full", score) for code, score in face.full.items()]
    return [(code, name, score.reason) for code, name, score in found if score.probability is None]


def _view(code: str, name: str, score: SpecialistScore, sight: Sight | None = None) -> MemberView:
    view = MemberView(code, name, score, "forged" if (score.probability or 0) >= 0.5 else "authentic")
    if sight is not None:
        lens = LENSES[code]
        view.panels = ("the face", *(channel.name for channel in lens.channels))
        view.picture = jpeg_whole(strip(code, sight), 4 * _PANEL + 3 * _GAP, quality=82)
        view.time, view.reading = sight.time, lens.reading
    return view


def strip(code: str, sight: Sight) -> np.ndarray:
    """uint8[h, w, 3] RGB: the face, then the three channels of the lens in the colours of `interceptor lens`."""
    channels = zip(sight.seen, LENSES[code].channels, strict=True)
    pictures = [sight.crop, *(coloured(values, channel.kind) for values, channel in channels)]
    gap = np.full((_PANEL, _GAP, 3), 255, np.uint8)
    span = LENSES[code].span or 0.0
    parts: list[np.ndarray] = []
    for number, picture in enumerate(pictures):
        panel = cv2.resize(picture, (_PANEL, _PANEL), interpolation=cv2.INTER_AREA)
        for half in range(1, int(2 * span) + 1) if number else ():
            panel[::6, round(half / 2 / span * _PANEL)] = _MARK
        parts += [panel, gap]
    return np.concatenate(parts[:-1], axis=1)
