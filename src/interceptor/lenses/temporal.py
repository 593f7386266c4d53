"""TM, temporal: what moves between neighbouring frames of the face, and how."""

from __future__ import annotations

from threading import local

import cv2
import numpy as np

from interceptor.lenses.abstain import Abstain
from interceptor.lenses.channel import Channel
from interceptor.lenses.scales import amount, signed
from interceptor.media.clips import FaceClip

CHANNELS = (
    Channel("change from before", "signed"),
    Channel("change to after", "signed"),
    Channel("flow magnitude", "amount"),
)

CHANGE = 8.0
"""Difference of luma, in levels of 255, that comes out as 0.5."""
SPEED = 1.0
"""Flow, in pixels of the crop from the frame before to the frame after, that comes out as 0."""

_flows = local()


def temporal(clip: FaceClip) -> np.ndarray:
    """float32[n, 3, 224, 224], -1..1, from the crop and its two neighbours, all cut with the same similarity.

    Luma less that of the frame before, and that of the frame after less it, d / (|d| + 8). Length v of the optical flow
    from the frame before to the frame after (DIS; Kroeger et al., ECCV 2016), (v - 1) / (v + 1).
    """
    if clip.neighbours is None:
        raise Abstain("there is no frame before and after the face")
    out = np.empty((len(clip.crops), 3, *clip.crops.shape[1:3]), np.float32)
    for seen, crop, (before, after) in zip(out, clip.crops, clip.neighbours, strict=True):
        first, middle, last = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (before, crop, after))
        seen[0] = signed(middle.astype(np.float32) - first, CHANGE)
        seen[1] = signed(last.astype(np.float32) - middle, CHANGE)
        speed = np.hypot(*np.moveaxis(_flow(first, last), -1, 0))
        seen[2] = amount(speed, SPEED)
    return out


def _flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float32[H, W, 2], pixels."""
    if not hasattr(_flows, "dis"):  # one for each thread: it holds its buffers
        _flows.dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    return _flows.dis.calc(first, second, None)
