"""Which full specialists are worth their cost on a file, and why: a pure function, no model runs here.

The standard tier has answered already. A full specialist runs where that answer is inconclusive **and** either the
file's quality is what this specialist is for, or its standard counterpart contradicts the answer. The limits below
are set by what the quality measures mean, not fitted to files; `docs/ensemble.md` says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

from interceptor.detect.ensemble import SPECIALISTS, EnsembleResult
from interceptor.media.quality import Quality
from interceptor.metrics.gates import Gate

DARK = 70.0
FEW_BITS = 0.08
BLOCKY = 1.3
UPSCALED = 1.5
SMALL_FACE = 100.0
FEWEST_FRAMES = {"av": 2, "tm": 3}
"""Frames in the file that motion takes: `tm` compares one with those before and after."""
NOT_ASKED = "was not asked for"

GATES = {
    code: [Gate(measure, limit, above) for measure, limit in limits for above in (False, True)]
    for code, limits in {
        "ll": [("luma", DARK)],
        "bg": [("luma", DARK)],
        "av": [("face_size", SMALL_FACE)],
        "cm": [("bits_per_pixel", FEW_BITS), ("blockiness", BLOCKY)],
        "rr": [("upscaling", UPSCALED), ("face_size", SMALL_FACE)],
        "tm": [("bits_per_pixel", FEW_BITS)],
    }.items()
}
"""What a standard specialist's weight may be made to depend on, at the same limits. Sound is a gate by itself: without
it `av` abstains."""

Choice = frozenset[str] | None
"""Codes asked for by name; None leaves it to the router."""


class Decision(NamedTuple):
    run: bool
    reason: str


def parse_choice(text: str) -> Choice:
    """`"auto"`, `"all"`, `"none"`, or codes such as `"ll,cm"`. Raises `ValueError` that lists the valid ones."""
    if text == "auto":
        return None
    if text == "none":
        return frozenset()
    codes = frozenset(SPECIALISTS) if text == "all" else frozenset(part.strip() for part in text.split(","))
    if unknown := sorted(codes - set(SPECIALISTS)):
        raise ValueError(
            f"unknown specialist {', '.join(map(repr, unknown))}: choose auto, all, none, or of "
            f"{', '.join(SPECIALISTS)}"
        )
    return codes


def route(
    quality: Quality,
    standard: EnsembleResult,
    verdict: Literal["forged", "authentic", "inconclusive"],
    installed: Collection[str],
    choice: Choice = None,
) -> dict[str, Decision]:
    """For each of the six codes: whether its full specialist runs, and the reason in words.

    `standard` is what the standard tier said of the file's worst face, `verdict` what its thresholds make of that,
    `installed` the codes whose files are there.
    """
    return {code: _decide(code, quality, standard, verdict, installed, choice) for code in SPECIALISTS}


def _decide(
    code: str, quality: Quality, standard: EnsembleResult, verdict: str, installed: Collection[str], choice: Choice
) -> Decision:
    if choice is not None and code not in choice:
        return Decision(False, NOT_ASKED)
    if code not in installed:
        return Decision(False, "its file is not installed")
    if blind := _blind(code, quality):
        return Decision(False, blind)
    if choice is not None:
        return Decision(True, "was asked for")
    if standard.probability is None:
        return Decision(True, "the standard tier gave no answer")
    said = f"{verdict} (probability {standard.probability:.3f})"
    if verdict != "inconclusive":
        return Decision(False, f"the standard tier is certain: {said}")
    why = _reasons(quality).get(code) or _contradiction(code, standard)
    if why is None:
        return Decision(False, "nothing about the file calls for it, and its standard counterpart does not contradict")
    return Decision(True, f"the standard tier is {said}, and {why}")


def _blind(code: str, quality: Quality) -> str | None:
    """Why a specialist's lens would have nothing to look at."""
    if code == "av" and not quality.sound:
        return "the file has no sound track"
    if quality.frames is None or quality.frames >= FEWEST_FRAMES.get(code, 0):
        return None
    return "one single frame has no motion to look at" if quality.frames < 2 else "two frames: none lies between others"


def _reasons(quality: Quality) -> Mapping[str, str]:
    """What the file's quality says for a specialist, by code."""
    reasons: dict[str, str] = {}
    if quality.luma is not None and quality.luma < DARK:
        reasons["ll"] = f"the picture is dark (mean luma {quality.luma:.0f})"
    if quality.bits_per_pixel is not None and quality.bits_per_pixel < FEW_BITS:
        reasons["cm"] = f"it is strongly compressed ({quality.bits_per_pixel:.3f} bits per pixel)"
    elif quality.blockiness is not None and quality.blockiness > BLOCKY:
        reasons["cm"] = f"it shows the codec's blocks (steps {quality.blockiness:.1f} times as high at their edges)"
    if quality.upscaling is not None and quality.upscaling > UPSCALED:
        reasons["rr"] = f"it was scaled up or blurred (about {quality.upscaling:.1f} times)"
    elif quality.face_size is not None and quality.face_size < SMALL_FACE:
        reasons["rr"] = f"the face is small ({quality.face_size:.0f} pixels)"
    if quality.sound:
        reasons["av"] = "sound and lips can be compared"
    return reasons


def _contradiction(code: str, standard: EnsembleResult) -> str | None:
    entry = standard.specialists.get(code)
    if entry is None or entry.probability is None or standard.probability is None:
        return None
    if (entry.probability >= 0.5) == (standard.probability >= 0.5):
        return None
    return f"its standard counterpart contradicts it ({entry.probability:.2f})"
