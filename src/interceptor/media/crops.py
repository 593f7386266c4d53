"""The one crop convention, for training and scanning: five landmarks brought to a template by a similarity.

The template is the mean of the landmarks that the face detector finds inside the training crops (`benchmarks/faces.py
template`), so that a crop cut here is framed as the crops that the models were trained on. `docs/faces.md` proves it.

Coordinates are continuous: the top left pixel spans 0..1, its centre is at 0.5.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

CROP_SIZE = 224
CONTEXT_SCALE = 2.5
"""The context crop shows this many times the width of the crop."""
CONTEXT_SIZE = 320
MIN_FACE = 40.0
"""Smallest usable crop, in pixels of the frame. Below it the landmarks' error grows (2.6 % of the side at 40, 3.3 % at
24), and of the training crops one in a hundred was under 74 and none under 36."""

TEMPLATE = np.array(
    [[0.3178, 0.3132], [0.7082, 0.3094], [0.5110, 0.5183], [0.3476, 0.7052], [0.6711, 0.7009]], np.float32
)
"""float32[5, 2]: left eye, right eye, nose, left and right mouth corner as seen in the picture, fractions of the
crop's side.
"""


def similarity(landmarks: np.ndarray, size: int = CROP_SIZE, scale: float = 1.0) -> np.ndarray:
    """Rotation, scale and shift that bring `landmarks` closest to the template (least squares; Umeyama, TPAMI 1991).

    `landmarks` [5, 2] in pixels of the frame; returns float64[2, 3], from those to pixels of a crop of `size`, whose
    field of view is `scale` times the template's about the same centre. A reflection is never chosen. Raises
    `ValueError` for landmarks that are not finite or coincide in one point.
    """
    # A plane similarity is a*z + b in complex numbers: least squares then has a closed form without a decomposition.
    source = np.asarray(landmarks, np.float64) @ [1, 1j]
    target = ((TEMPLATE.astype(np.float64) - 0.5) / scale + 0.5) @ [1, 1j] * size
    centred = source - source.mean()
    spread = float(np.sum(np.abs(centred) ** 2))
    if not 0 < spread < math.inf:
        raise ValueError(f"landmarks must be finite and not all in one point, got {np.asarray(landmarks).tolist()}")
    a = np.sum(np.conj(centred) * target) / spread
    b = target.mean() - a * source.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def crop_side(landmarks: np.ndarray) -> float:
    """Side of the crop, measured in pixels of the frame."""
    return CROP_SIZE / math.hypot(*similarity(landmarks)[:, 0])


def cut(rgb: np.ndarray, landmarks: np.ndarray, size: int = CROP_SIZE, scale: float = 1.0) -> np.ndarray:
    """The aligned crop: `rgb` uint8[H, W, 3] and its `landmarks` [5, 2] in pixels give uint8[size, size, 3]; a grey
    picture [H, W] gives [size, size].

    `scale` widens the field of view about the crop's centre (`CONTEXT_SCALE` for the context crop). What lies outside
    of the frame repeats the frame's border. Shrinking averages over areas first, so that nothing aliases.
    """
    matrix = similarity(landmarks, size, scale)
    (left, top), (right, bottom) = _extent(matrix, size, rgb.shape[1], rgb.shape[0])
    region = rgb[top:bottom, left:right]
    matrix[:, 2] += matrix[:, :2] @ [left, top]
    shrink = math.hypot(*matrix[:, 0])
    if shrink < 1:
        old = np.array(region.shape[1::-1])
        new = np.maximum(1, np.round(old * shrink)).astype(int)
        region = cv2.resize(region, new.tolist(), interpolation=cv2.INTER_AREA)
        matrix[:, :2] *= old / new
    matrix[:, 2] += (matrix[:, :2].sum(1) - 1) / 2  # OpenCV puts pixel centres at whole numbers
    # At the same scale linear interpolation blurs what averaging has left sharp; when enlarging, cubic would overshoot.
    filtering = cv2.INTER_CUBIC if shrink < 1 else cv2.INTER_LINEAR
    return cv2.warpAffine(region, matrix, (size, size), flags=filtering, borderMode=cv2.BORDER_REPLICATE)


def _extent(matrix: np.ndarray, size: int, width: int, height: int) -> np.ndarray:
    """int[2, 2]: (left, top), (right, bottom) of the part of a frame that a crop shows, at least one pixel of it."""
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) - matrix[:, 2]
    corners = corners @ np.linalg.inv(matrix[:, :2]).T
    margin = 2 * max(1.0, 1 / math.hypot(*matrix[:, 0]))  # what interpolation reaches beyond the crop
    edge = np.array([width, height])
    first = np.clip(np.floor(corners.min(0) - margin), 0, edge - 1)
    last = np.clip(np.ceil(corners.max(0) + margin), first + 1, edge)
    return np.stack([first, last]).astype(int)
