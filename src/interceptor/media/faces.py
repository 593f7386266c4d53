"""Faces and their five landmarks in a picture, by CenterFace (Xu et al., arXiv 1911.03599; the decoding follows its
authors' code).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

Infer = Callable[..., list[np.ndarray]]
"""A compiled network: float32[1, 3, H, W] in; at a quarter of that, heat map, log sizes, offsets and landmarks out."""

STRIDE = 4
MULTIPLE = 32
MAX_OVERLAP = 0.3
"""Of two boxes whose intersection over union is larger, the less confident one is dropped (the authors' value)."""


@dataclass(frozen=True)
class Face:
    """One face, in pixels of the frame it was found in."""

    box: np.ndarray
    """float32[4]: left, top, right, bottom; cut off at the frame's edge."""
    landmarks: np.ndarray
    """float32[5, 2]: x, y of left eye, right eye, nose, left and right mouth corner, as seen in the picture."""
    score: float
    """The detector's confidence, 0..1."""

    @property
    def size(self) -> float:
        """The longer side of the box, pixels."""
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))


class FaceDetector:
    """Finds faces (upright ones, to about 45 degrees of roll, with good landmarks) in one RGB frame.

    `compile(shape)` gives the network for the input shape `(1, 3, H, W)`, H and W multiples of 32; it is asked once
    for each shape. Frames whose longer side exceeds `long_side` are shrunk to it; smaller ones are never enlarged.
    Faces less sure than `threshold` (0..1) are left out.
    """

    def __init__(
        self, compile: Callable[[tuple[int, int, int, int]], Infer], *, long_side: int = 640, threshold: float = 0.5
    ) -> None:
        self.long_side = long_side
        self.threshold = threshold
        self._compile = compile
        self._networks: dict[tuple[int, int, int, int], Infer] = {}

    def __call__(self, rgb: np.ndarray) -> list[Face]:
        """Faces in `rgb` (uint8[H, W, 3]), largest first."""
        scale = min(1.0, self.long_side / max(rgb.shape[:2]))
        # The network overlooks faces much larger than those it was trained on: half as large, it finds them.
        faces = self._find(rgb, scale) or self._find(rgb, scale / 2)
        return sorted(faces, key=lambda face: face.size, reverse=True)

    def _find(self, rgb: np.ndarray, scale: float) -> list[Face]:
        """Faces in `rgb` as seen at `scale` (at most 1) of its size, most confident first."""
        height, width = rgb.shape[:2]
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(rgb, inner, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
        pixels = np.zeros((1, 3, _round_up(inner[1]), _round_up(inner[0])), np.float32)
        pixels[0, :, : inner[1], : inner[0]] = small.transpose(2, 0, 1)
        heat, sizes, offsets, landmarks = self._network(pixels.shape)(pixels)
        to_frame = np.array([width / inner[0], height / inner[1]], np.float32)
        edge = np.array([width, height] * 2, np.float32)
        return [
            Face(np.clip(face.box * np.tile(to_frame, 2), 0, edge), face.landmarks * to_frame, face.score)
            for face in decode(heat[0, 0], sizes[0], offsets[0], landmarks[0], self.threshold)
        ]

    def _network(self, shape: tuple[int, int, int, int]) -> Infer:
        if shape not in self._networks:
            self._networks[shape] = self._compile(shape)
        return self._networks[shape]


def decode(
    heat: np.ndarray, sizes: np.ndarray, offsets: np.ndarray, landmarks: np.ndarray, threshold: float
) -> list[Face]:
    """Faces (most confident first, in pixels of the network's input) out of the network's four maps.

    `heat` float32[h, w]; `sizes` and `offsets` float32[2, h, w], y before x; `landmarks` float32[10, h, w], y before x,
    as fractions of the box. Overlapping boxes are reduced to the most confident one.
    """
    rows, columns = np.nonzero(heat > threshold)
    order = np.argsort(-heat[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    scores = heat[rows, columns]
    size = np.exp(sizes[::-1, rows, columns].T) * STRIDE
    center = (np.stack([columns, rows], 1) + offsets[::-1, rows, columns].T + 0.5) * STRIDE
    corner = center - size / 2
    boxes = np.concatenate([corner, corner + size], 1).astype(np.float32)
    fractions = landmarks[:, rows, columns].reshape(5, 2, -1).transpose(2, 0, 1)[..., ::-1]
    points = (corner[:, None] + fractions * size[:, None]).astype(np.float32)
    kept: list[int] = []
    for i in range(len(boxes)):
        if all(overlap(boxes[i], boxes[j]) < MAX_OVERLAP for j in kept):
            kept.append(i)
    return [Face(boxes[i], points[i], float(scores[i])) for i in kept]


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (left, top, right, bottom), 0..1."""
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return float(common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common))


def _round_up(pixels: int) -> int:
    return -(-pixels // MULTIPLE) * MULTIPLE
