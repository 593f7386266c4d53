"""Interceptor: are the faces in this video forged, and what is the evidence?

>>> import interceptor
>>> result = interceptor.scan("clip.mp4")
>>> result.verdict, result.probability
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from interceptor.detect.result import ScanResult, Tier
    from interceptor.detect.scan import Scanner

__all__ = ["NoProbabilityError", "__version__", "predict", "scan"]


class NoProbabilityError(ValueError):
    """A file for which there is no probability: it cannot be read, or shows no usable face. The message names it."""


@lru_cache(maxsize=4)
def _scanner(frames: int, fpr: float, tier: Tier, specialists: str) -> Scanner:
    from interceptor.detect.router import parse_choice
    from interceptor.detect.scan import Scanner

    return Scanner(frames=frames, fpr=fpr, tier=tier, specialists=parse_choice(specialists))


def scan(
    path: str | Path, *, frames: int = 32, fpr: float = 0.05, tier: Tier = "standard", specialists: str = "auto"
) -> ScanResult:
    """Scan one video or picture.

    frames: how many are sampled over the whole length. fpr: the false-alarm rate that the verdict is meant to keep.
    tier: `"fast"`, `"standard"` or `"full"`. specialists: `"auto"`, `"all"`, `"none"`, or codes such as `"ll,cm"`.
    What is wrong with the file is told in the result (`verdict` is `"error"`, see `errors`); a wrong setting is a
    `ValueError`.
    """
    return _scanner(frames, fpr, tier, specialists).scan(path)


def predict(path: str | Path) -> float:
    """The calibrated probability, 0..1, that the most suspicious face in a file is forged.

    Raises `NoProbabilityError` where there is none; never a made-up number.
    """
    result = scan(path)
    if result.probability is None:
        raise NoProbabilityError(result.errors[0].message if result.errors else f"{path}: {result.reason}")
    return result.probability
