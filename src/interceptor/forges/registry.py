"""The six pseudo-fake families, a row each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from interceptor.forges import audio_visual, background, compression, low_light, resolution, temporal
from interceptor.forges.blend import Forged
from interceptor.media.clips import FaceClip

Forge = Callable[[FaceClip, np.random.Generator], Forged]


@dataclass(frozen=True)
class Family:
    code: str
    """of the specialist that it teaches"""
    forge: Forge


FAMILIES = {
    family.code: family
    for family in (
        Family("ll", low_light.forge),
        Family("bg", background.forge),
        Family("av", audio_visual.forge),
        Family("cm", compression.forge),
        Family("rr", resolution.forge),
        Family("tm", temporal.forge),
    )
}


def family(code: str) -> Family:
    """The family of that code; a `ValueError` that lists them all for any other."""
    try:
        return FAMILIES[code]
    except KeyError:
        raise ValueError(f"no forge {code!r}; there are {', '.join(FAMILIES)}") from None
