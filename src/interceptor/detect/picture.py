"""A still picture at work: what was copied within it, and how that joins the verdict on its faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from interceptor.detect.copymove import Match, Region, match
from interceptor.detect.evidence import gather_evidence
from interceptor.detect.result import CopiedPair, CopiedRegion, PictureEvidence, PictureResult, Verdict
from interceptor.media import read_still
from interceptor.runtime.weights import FOLDER, WeightError, load_card


def examine(path: Path, *, evidence: bool = False) -> tuple[PictureResult, PictureEvidence | None]:
    """Look for copied regions in a picture; with `evidence`, also make the classical maps for a report.

    Raises `MediaError` where the picture cannot be read.
    """
    rgb = read_still(path)
    found = match(rgb)
    copied = [copied_pair(one) for one in found]
    maps = gather_evidence(path) if evidence else []
    return (
        PictureResult(copied=copied, reason=_reason(copied, rgb)),
        PictureEvidence(rgb, found, maps) if evidence else None,
    )


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


def join(
    picture: PictureResult, copied: float, verdict: Verdict, probability: float | None, reason: str
) -> tuple[Verdict, float | None, str]:
    """Verdict, probability and reason of a picture out of those of its faces: matching evidence wins.

    `copied` is the probability of forgery where regions were copied. That none was found says nothing for the picture.
    """
    if picture.copied:
        faces = "No face was judged." if probability is None else f"Its faces: {reason[0].lower()}{reason[1:]}"
        return "forged", max(copied, probability or 0.0), f"{picture.reason} {faces}"
    return verdict, probability, f"{reason} {picture.reason}"


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


def _reason(copied: list[CopiedPair], rgb: np.ndarray) -> str:
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
