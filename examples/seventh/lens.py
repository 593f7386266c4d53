"""CA, chromatic aberration: colour fringes, which a blend brings along from another lens."""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.lenses import Lens
from interceptor.lenses.channel import Channel
from interceptor.lenses.scales import signed
from interceptor.media.clips import FaceClip

CHANNELS = (Channel("red fringe", "signed"), Channel("blue fringe", "signed"), Channel("edges", "signed"))

LEVEL = 4.0
"""Detail, in levels of 255, that comes out as 0.5."""


def fringes(clip: FaceClip) -> np.ndarray:
    """float32[n, 3, 224, 224], -1..1: fine detail of red less green, of blue less green, and of green."""
    rgb = clip.crops.astype(np.float32)
    detail = np.stack([picture - cv2.GaussianBlur(picture, (0, 0), 2.0) for picture in rgb])
    red, green, blue = np.moveaxis(detail, -1, 0)
    return np.stack([signed(plane, LEVEL) for plane in (red - green, blue - green, green)], axis=1)


LENS = Lens("ca", "chromatic aberration", CHANNELS, "Fringes should grow from the frame's middle outwards.", fringes)
