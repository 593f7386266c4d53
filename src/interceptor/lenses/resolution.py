"""RR, resolution and re-recording: how much detail each scale holds, which scaling and sharpening change."""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.lenses.channel import Channel
from interceptor.lenses.native import luma, native_views
from interceptor.lenses.scales import signed
from interceptor.media.clips import FaceClip

CHANNELS = tuple(Channel(f"detail of {size} px", "signed") for size in (2, 4, 8))

HALF = (4.0, 6.0, 8.0)
"""Residual of each scale, in levels of 255, that comes out as 0.5: coarser detail is stronger."""

_SPLINE = np.array([1, 4, 6, 4, 1], np.float32) / 16


def resolution(clip: FaceClip) -> np.ndarray:
    """float32[n, 3, 224, 224], -1..1: three bands of the luma of the face's own pixels, finest first.

    The a-trous wavelet with the B3 spline (Starck and Murtagh, 1994; Holschneider et al., 1989): each band is what
    smoothing at twice the scale takes away, r / (|r| + h). Nothing is resized, so that a patch which was enlarged
    has an empty first band. Bands are taken of the whole native crop, then shown in tiles: see `native_views`.
    """
    out = []
    for pixels, view in native_views(clip):
        bands, smooth = [], luma(pixels)
        for level, half in enumerate(HALF):
            kernel = np.zeros(4 * 2**level + 1, np.float32)
            kernel[:: 2**level] = _SPLINE
            coarser = cv2.sepFilter2D(smooth, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT)
            bands.append(signed((smooth - coarser)[np.ix_(*view)], half))
            smooth = coarser
        out.append(np.stack(bands))
    return np.stack(out)
