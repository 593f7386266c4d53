"""CM, compression: block edges and quantisation of the codec, which a blend breaks."""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.lenses.channel import Channel
from interceptor.lenses.native import native_windows
from interceptor.media.clips import FaceClip

CHANNELS = (Channel("luma", "grey"), Channel("blue difference", "signed"), Channel("red difference", "signed"))

_LUMA = np.arange(256, dtype=np.float32) / 127.5 - 1
_CHROMA = np.clip((np.arange(256, dtype=np.float32) - 128) / 64, -1, 1)


def compression(clip: FaceClip) -> np.ndarray:
    """float32[n, 3, 224, 224], -1..1: Y, Cb, Cr (BT.601, full range, as JPEG has them) of the face's own pixels.

    Y is (v - 127.5) / 127.5; the colour differences, which skin hardly uses, are (v - 128) / 64, cut off at -1 and 1.

    Tiles' corners lie on the codec's 8 x 8 grid, so that a convolution of stride 8 sees whole blocks; see
    `native_views` for faces that are larger or smaller.
    """
    out = []
    for window in native_windows(clip):
        y, cr, cb = cv2.split(cv2.cvtColor(window, cv2.COLOR_RGB2YCrCb))
        out.append(np.stack([_LUMA[y], _CHROMA[cb], _CHROMA[cr]]))
    return np.stack(out)
