"""Error level analysis: how much a picture changes when it is saved as a JPEG once more.

N. Krawetz, "A Picture's Worth... Digital Image Analysis and Forensics", Black Hat Briefings 2007.
"""

from __future__ import annotations

import cv2
import numpy as np


def ela(rgb: np.ndarray, quality: int = 90) -> np.ndarray:
    """The largest change among the three colours at each pixel, when saved as a JPEG of `quality` (1 to 100).

    `rgb` uint8[H, W, 3]; returns uint8[H, W] in grey levels, unscaled: most values are below 20. Chroma is kept at full
    size, so that the difference is that of quantisation and not of chroma subsampling. Raises `ValueError` for other
    arrays, for another quality, and for sides of 65,500 pixels or more, which JPEG cannot hold.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
        raise ValueError(f"error level analysis needs uint8[H, W, 3], got {rgb.dtype}{list(rgb.shape)}")
    if not 1 <= quality <= 100:
        raise ValueError(f"the quality of a JPEG is 1 to 100, got {quality}")
    if max(rgb.shape) >= 65_500:
        raise ValueError(f"a JPEG's sides are below 65,500 pixels, got {rgb.shape[1]} x {rgb.shape[0]}")
    full_chroma = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality, *full_chroma])
    return cv2.absdiff(bgr, cv2.imdecode(data, cv2.IMREAD_COLOR)).max(axis=2)
