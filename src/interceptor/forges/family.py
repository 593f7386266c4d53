"""What makes a pseudo-fake family: the row that each has in `registry.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from interceptor.forges.blend import Forged
from interceptor.media.clips import FaceClip

Forge = Callable[[FaceClip, np.random.Generator], Forged]


@dataclass(frozen=True)
class Family:
    code: str
    """of the specialist that it teaches"""
    forge: Forge
    changes: Literal["pictures", "sound"] = "pictures"
