"""The six pseudo-fake families, a row each."""

from __future__ import annotations

from interceptor.forges import audio_visual, background, compression, low_light, resolution, temporal
from interceptor.forges.family import Family

_ROWS = (
    Family("ll", low_light.forge),
    Family("bg", background.forge),
    Family("av", audio_visual.forge, changes="sound"),
    Family("cm", compression.forge),
    Family("rr", resolution.forge),
    Family("tm", temporal.forge),
)

FAMILIES = {family.code: family for family in _ROWS}
"""By code."""


def family(code: str) -> Family:
    """The family of that code; a `ValueError` that lists them all for any other."""
    try:
        return FAMILIES[code]
    except KeyError:
        raise ValueError(f"no forge {code!r}; there are {', '.join(FAMILIES)}") from None
