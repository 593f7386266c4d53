"""BG, background and lighting: the face in its surroundings, whose light and colours should agree."""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.lenses.abstain import Abstain
from interceptor.lenses.channel import Channel
from interceptor.media.clips import FaceClip
from interceptor.media.crops import CROP_SIZE

CHANNELS = (Channel("red", "red"), Channel("green", "green"), Channel("blue", "blue"))


def background(clip: FaceClip) -> np.ndarray:
    """float32[n, 3, 224, 224], -1..1: the RGB of the context crop, 2.5 times as wide as the face's, shrunk by areas."""
    if clip.context is None:
        raise Abstain("the frame shows too little around the face")
    size = (CROP_SIZE, CROP_SIZE)
    small = np.stack([cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in clip.context])
    return np.ascontiguousarray(small.transpose(0, 3, 1, 2), np.float32) / 127.5 - 1
