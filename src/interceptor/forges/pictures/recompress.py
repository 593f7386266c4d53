"""The common re-compression: what authentic and forged pictures suffer alike after the forgery, drawn once for both."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from interceptor.forges.pictures.picture import Rgb

SAMPLINGS = (
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
)


def draw_recompression(rng: np.random.Generator) -> Callable[[Rgb], Rgb]:
    """Three times in ten nothing (saved without loss), else JPEG at quality 60 to 98 and any chroma sampling."""
    if rng.random() < 0.3:
        return lambda rgb: rgb
    quality, sampling = int(rng.integers(60, 99)), int(rng.choice(SAMPLINGS))

    def compressed(rgb: Rgb) -> Rgb:
        settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
        coded = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), settings)[1]
        return cv2.cvtColor(cv2.imdecode(coded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    return compressed
