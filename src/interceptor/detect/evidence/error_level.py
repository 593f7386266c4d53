"""Error level analysis as a map to look at."""

from __future__ import annotations

import numpy as np

from interceptor.detect.evidence.maps import EvidenceMap
from interceptor.detect.evidence.picture import Picture
from interceptor.media.ela import ela

NAME = "error_level"
LIMITS = (
    "The weakest of the maps. Edges, texture and saturated colours are bright in every picture; compare like with "
    "like only, such as one edge with another. A forgery saved together with its surroundings several times is "
    "level with them."
)
QUALITY = 90
FULL_SCALE = 16.0
"""Grey levels of change that are drawn at full brightness: a fixed scale, so that a quiet picture stays dark."""


def error_level(picture: Picture) -> EvidenceMap:
    """What saving as a JPEG of quality 90 changes; a brighter region has another compression history or more detail."""
    change = ela(picture.rgb, QUALITY)
    values = np.minimum(np.float32(change) / np.float32(FULL_SCALE), 1)
    measures = {"mean_change": float(change.mean()), "change_99th_percentile": float(np.percentile(change, 99))}
    caption = (
        f"Bright is what changes most when the picture is saved as a JPEG of quality {QUALITY} "
        f"(on average {measures['mean_change']:.1f} grey levels). A part that is clearly brighter or darker than "
        "similar detail elsewhere may have been compressed differently."
    )
    return EvidenceMap(NAME, values, caption, LIMITS, measures=measures)
