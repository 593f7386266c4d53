"""A still picture at work: what was copied within it, where it was altered, and how that joins the verdict on faces."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from interceptor.detect.copymove import Match, Region, match
from interceptor.detect.evidence import gather_evidence
from interceptor.detect.localize import Localization, Localizer
from interceptor.detect.result import (
    Altered,
    AlteredRegion,
    CopiedPair,
    CopiedRegion,
    PictureEvidence,
    PictureResult,
    Verdict,
)
from interceptor.runtime.weights import FOLDER, WeightError, load_card

LONGEST = 2048
"""Pixels a side beyond which the localizer sees a shrunk picture, so that a scan's time does not grow with the size."""
MAX_FALSE_ALARMS = 0.1
"""The localizer's verdict counts where it calls at most this share of the authentic pictures of every kind forged."""
FEWEST_PICTURES = 20
"""Of each kind, for such a share to be believed."""


class PictureScanner:
    """Matcher, localizer and, with `evidence`, the classical maps for a report.

    The localizer is loaded with the first picture: videos do not need it. Raises `WeightError` for cards and files
    that are not as they should be.
    """

    def __init__(self, folder: Path = FOLDER, *, evidence: bool = False) -> None:
        self._folder, self._evidence = folder, evidence
        self._copied = copied_probability(folder)
        card = load_card("localizer", folder)
        self._counts = counts(card)
        self.files = list(card["files"])
        """The weight files that a picture needs."""

    @cached_property
    def _localizer(self) -> Localizer:
        return Localizer(self._folder)

    def __call__(self, path: Path, rgb: np.ndarray) -> tuple[PictureResult, PictureEvidence | None]:
        """What is found in a picture, decoded to `rgb` uint8[H, W, 3] as displayed; `path` is for what else its file
        says. Raises `MediaError` where that cannot be read.
        """
        found = match(rgb)
        seen = _shrunk(rgb)
        located = self._localizer.localize(seen)
        zoom = rgb.shape[1] / seen.shape[1], rgb.shape[0] / seen.shape[0]
        copied, altered = [copied_pair(one) for one in found], _altered(located, zoom, self._counts)
        result = PictureResult(copied=copied, altered=altered, reason=f"{_copies(copied, rgb)} {_places(altered)}")
        if not self._evidence:
            return result, None
        return result, PictureEvidence(rgb, found, seen, located, gather_evidence(path, rgb))

    def join(
        self, picture: PictureResult, verdict: Verdict, probability: float | None, reason: str
    ) -> tuple[Verdict, float | None, str]:
        """Verdict, probability and reason of a picture out of those of its faces.

        Matching evidence wins; what the localizer calls forged counts where its card allows it. That nothing was found
        says nothing for the picture.
        """
        found = [self._copied] if picture.copied else []
        if picture.altered.counts and picture.altered.verdict == "forged":
            found.append(picture.altered.probability)
        if not found:
            return verdict, probability, f"{reason} {picture.reason}"
        faces = "No face was judged." if probability is None else f"Its faces: {reason[0].lower()}{reason[1:]}"
        return "forged", max(*found, probability or 0.0), f"{picture.reason} {faces}"


def counts(card: Mapping[str, Any]) -> bool:
    """Whether a localizer may call a picture forged, by what its card says under `false_alarms`: for each kind of
    authentic picture how many were `called` forged `of` how many. A card that does not say may not.
    """
    kinds = card.get("false_alarms") or {}
    try:
        few = [
            kind["of"] >= FEWEST_PICTURES and kind["called"] <= MAX_FALSE_ALARMS * kind["of"] for kind in kinds.values()
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise WeightError(f"the localizer's card holds no usable false alarms ({error!r})") from error
    return bool(few) and all(few)


def copied_probability(folder: Path = FOLDER) -> float:
    """How probable a forgery is where the matcher found copied regions and forged and authentic pictures are as many:
    the share of hits among what it finds, from the rates measured in its card. Raises `WeightError`.
    """
    card = load_card("copymove", folder)
    try:
        found, false_alarms = (float(card["figures"][name]) for name in ("found", "false_alarms"))
        return found / (found + false_alarms)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise WeightError(f"{folder / 'copymove.json'}: the card holds no usable rates ({error!r})") from error


def copied_pair(found: Match) -> CopiedPair:
    """A match as it goes into a result: lengths and coordinates in native pixels."""
    return CopiedPair(
        source=_region(found.source, found.source_panel),
        target=_region(found.copy, found.copy_panel),
        angle=round(found.angle, 1) + 0.0,  # no "-0"
        scale=round(found.scale, 3),
        flip=found.flip,
        inliers=found.inliers,
        correlation=round(found.correlation, 3),
        method=found.method,
        transform=np.round(found.transform, 4).tolist(),
    )


def _region(region: Region, panel: int | None) -> CopiedRegion:
    return CopiedRegion(box=region.box, area=region.area, panel=panel)


def _copies(copied: list[CopiedPair], rgb: np.ndarray) -> str:
    if not copied:
        return "No region was found twice."
    first = copied[0]
    share = first.source.area / (rgb.shape[0] * rgb.shape[1])
    how = [f"turned by {first.angle:.0f}°"] if abs(first.angle) >= 1 else []
    how += [f"scaled by {first.scale:.2f}"] if abs(first.scale - 1) >= 0.02 else []
    how += ["mirrored"] if first.flip else []
    several = f"{len(copied)} regions occur" if len(copied) > 1 else "A region occurs"
    largest = "the largest" if len(copied) > 1 else "it"
    change = ", ".join(how) or "neither turned nor scaled"
    return f"{several} twice in the picture; {largest} covers {share:.1%} of it, {change}."


def _shrunk(rgb: np.ndarray) -> np.ndarray:
    """uint8[H, W, 3] whose sides have at most `LONGEST` pixels."""
    factor = LONGEST / max(rgb.shape[:2])
    if factor >= 1:
        return rgb
    size = [max(1, round(side * factor)) for side in rgb.shape[1::-1]]
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)


def _altered(located: Localization, zoom: tuple[float, float], counts: bool) -> Altered:
    """What was located, in native pixels: `zoom` (x, y) times those that the localizer saw."""
    regions = []
    for one in located.instances:
        left, top, right, bottom = one.box
        box = round(left * zoom[0]), round(top * zoom[1]), round(right * zoom[0]), round(bottom * zoom[1])
        regions.append(
            AlteredRegion(box=box, area=round(one.area * zoom[0] * zoom[1]), probability=round(one.probability, 4))
        )
    return Altered(verdict=located.verdict, probability=round(located.probability, 4), counts=counts, regions=regions)


def _places(altered: Altered) -> str:
    number = len(altered.regions)
    if not number:
        return "The localizer marks nothing."
    marks = f"The localizer marks {number} region{'s' if number > 1 else ''} (probability {altered.probability:.2f})"
    if not altered.counts:
        return f"{marks}; for its false alarms this is shown and does not count."
    return f"{marks}{', above its threshold' if altered.verdict == 'forged' else ', which is not enough to count'}."
