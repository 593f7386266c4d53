"""Classical evidence: maps of compression, noise, demosaicing and resampling, and what the file says about itself.

They are evidence, not verdicts: each shows an oddity, for which there are honest reasons too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from interceptor.detect.evidence.blockgrid import blockgrid
from interceptor.detect.evidence.demosaic import demosaic
from interceptor.detect.evidence.error_level import error_level
from interceptor.detect.evidence.ghosts import ghosts
from interceptor.detect.evidence.maps import EvidenceMap
from interceptor.detect.evidence.metadata import metadata
from interceptor.detect.evidence.noise import noise
from interceptor.detect.evidence.picture import Picture, read_picture
from interceptor.detect.evidence.quantisation import quantisation
from interceptor.detect.evidence.resampling import resampling

MAPS: dict[str, Callable[[Picture], EvidenceMap]] = {
    "error_level": error_level,
    "ghosts": ghosts,
    "quantisation": quantisation,
    "blockgrid": blockgrid,
    "noise": noise,
    "demosaic": demosaic,
    "resampling": resampling,
    "metadata": metadata,
}

__all__ = ["MAPS", "EvidenceMap", "Picture", "gather_evidence", "read_picture"]


def gather_evidence(path: str | os.PathLike[str], rgb: np.ndarray | None = None) -> list[EvidenceMap]:
    """All maps of one picture, in the order of `MAPS`, turned as the picture is displayed.

    `rgb` uint8[H, W, 3] are its pixels as displayed, where they are decoded already. Raises `MediaError` where the
    picture cannot be read.
    """
    picture = read_picture(path, rgb)
    found = [look(picture) for look in MAPS.values()]
    return [item if item.values is None else replace(item, values=picture.displayed(item.values)) for item in found]
