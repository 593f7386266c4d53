"""What a picture forge returns, and when it gives up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
"""uint8[H, W, 3]"""
Mask = NDArray[np.bool_]
"""bool[H, W]"""


class ForgeError(ValueError):
    """This picture cannot be forged in this way: too small, too plain, or nothing fits."""


@dataclass(frozen=True)
class ForgedPicture:
    """A forged picture and where it was forged; outside of `mask` it is bit-identical to what it was made from."""

    image: Rgb
    instances: NDArray[np.bool_]
    """bool[k, H, W], k at least 1. For a copy-move, one plane is a source and all its copies."""
    kind: str
    """`copy_move`, `splice`, `removal` or `retouch`."""

    @property
    def mask(self) -> Mask:
        """All instances together."""
        return np.logical_or.reduce(self.instances)


def visibly_changed(before: Rgb, after: Rgb, mask: Mask) -> bool:
    """Whether at least a tenth of the pixels in `mask` differ by more than 2 levels: otherwise there is no forgery."""
    differs = np.abs(before[mask].astype(np.int16) - after[mask]).max(axis=-1) > 2
    return bool(differs.mean() >= 0.1)
