"""CA: red and blue that are moved apart inside the blend."""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.forges.blend import Forged, Place, blend
from interceptor.forges.registry import Family
from interceptor.media.clips import FaceClip


def forge(clip: FaceClip, rng: np.random.Generator) -> Forged:
    """Red moved one way and blue the other, by 0.6 to 1.5 pixels of the crop."""
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.5)
    way = distance * np.array([np.cos(angle), np.sin(angle)])

    def change(pixels: np.ndarray, place: Place) -> np.ndarray:
        red, green, blue = cv2.split(pixels)
        return cv2.merge([_moved(red, way * place.scale), green, _moved(blue, -way * place.scale)])

    return blend(clip, rng, change)


def _moved(plane: np.ndarray, by: np.ndarray) -> np.ndarray:
    matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]])
    return cv2.warpAffine(plane, matrix, plane.shape[::-1], borderMode=cv2.BORDER_REFLECT)


FAMILY = Family("ca", forge)
