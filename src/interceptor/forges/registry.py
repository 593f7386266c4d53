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
    name: str
    forge: Forge


FAMILIES = {
    family.code: family
    for family in (
        Family("ll", "low light", low_light.forge),
        Family("bg", "background and lighting", background.forge),
        Family("av", "sound and lips", audio_visual.forge),
        Family("cm", "compression", compression.forge),
        Family("rr", "resolution", resolution.forge),
        Family("tm", "time", temporal.forge),
    )
}


def family(code: str) -> Family:
    """The family of that code; a `ValueError` that lists them all for any other."""
    try:
        return FAMILIES[code]
    except KeyError:
        raise ValueError(f"no forge {code!r}; there are {', '.join(FAMILIES)}") from None
