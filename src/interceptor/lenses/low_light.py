"""LL, low light: noise, exposure and local contrast, which a blend brings along from elsewhere."""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.lenses.abstain import Abstain
from interceptor.lenses.channel import Channel
from interceptor.lenses.scales import amount, signed
from interceptor.media.clips import FaceClip

CHANNELS = (Channel("log luma", "grey"), Channel("denoising residual", "signed"), Channel("local contrast", "amount"))

NOISE = 4.0
"""Residual, in levels of 255, that comes out as 0.5."""
WINDOW = 9
"""Side of the window of local contrast, pixels."""
CONTRAST = 0.1
"""Local contrast that comes out as 0."""
DARK = 4.0
"""Added to the local mean, in levels: below it, contrast is the sensor's."""
DEEP = 8.0
"""Levels below which the logarithm becomes a line: nothing but noise is there."""

_STOPS = np.log2(np.arange(256) / DEEP + 1)
_LOG = (_STOPS / _STOPS[-1] * 2 - 1).astype(np.float32)


def low_light(clip: FaceClip) -> np.ndarray:
    """float32[n, 3, 224, 224], -1..1, from the aligned crops.

    Log luma: log2(Y / 8 + 1) of BT.601 luma Y, so that a stop of exposure is one step wherever it is not quite dark.
    Denoising residual: Y less its bilateral filtering (Tomasi and Manduchi, ICCV 1998), r / (|r| + 4).
    Local contrast: standard deviation over mean in a window of 9 (Peli, JOSA A 1990), (c - 0.1) / (c + 0.1).
    """
    if not len(clip.crops):
        raise Abstain("the clip has no crop")
    out = np.empty((len(clip.crops), 3, *clip.crops.shape[1:3]), np.float32)
    for seen, crop in zip(out, clip.crops, strict=True):
        grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
        luma = grey.astype(np.float32)
        seen[0] = _LOG[grey]
        seen[1] = signed(luma - cv2.bilateralFilter(luma, 5, 20.0, 1.5), NOISE)
        mean = cv2.blur(luma, (WINDOW, WINDOW), borderType=cv2.BORDER_REFLECT)
        square = cv2.sqrBoxFilter(luma, cv2.CV_32F, (WINDOW, WINDOW), borderType=cv2.BORDER_REFLECT)
        contrast = np.sqrt(np.maximum(square - mean * mean, 0)) / (mean + DARK)
        seen[2] = amount(contrast, CONTRAST)
    return out
