"""What makes a lens: the row that each has in `table.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from interceptor.lenses.channel import Channel
from interceptor.media.clips import FaceClip

View = Literal["context", "native", "neighbours", "mouth", "sound"]
"""What a `FaceClip` may hold beside its crops."""


@dataclass(frozen=True)
class Lens:
    """What a specialist looks through."""

    code: str
    name: str
    channels: tuple[Channel, ...]
    """what each of the three shows"""
    reading: str
    """how a person reads it, in a sentence or two"""
    look: Callable[[FaceClip], np.ndarray]
    """a clip of n crops to float32[n, 3, 224, 224], -1..1; raises `Abstain` where there is nothing to look at"""
    views: tuple[View, ...] = ()
    """what it looks at beside the crops; who looks at `native` pixels looks at single ones, which are never averaged"""
    span: float | None = None
    """seconds from the first to the last column, where columns are time"""
