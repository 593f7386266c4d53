"""Where a face is blended: an outline laid through five landmarks, elastically deformed and feathered.

The hull of 81 landmarks of Shiohara & Yamasaki (CVPR 2022, arXiv 2204.08376), drawn with the five (eyes, nose, mouth
corners) that the detector gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

BLEND_RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)

# Outline of a face: x in distances between the eyes, y in distances from the eyes' centre to the mouth's.
_JAW = [
    (-1.05, 0.0),
    (-1.0, 0.55),
    (-0.8, 1.1),
    (-0.45, 1.5),
    (0, 1.62),
    (0.45, 1.5),
    (0.8, 1.1),
    (1.0, 0.55),
    (1.05, 0.0),
]
_BROWS = [(0.9, -0.42), (0.4, -0.55), (-0.4, -0.55), (-0.9, -0.42)]
_OUTLINES = {
    "face": _JAW + _BROWS,
    "lower": [(-0.95, 0.3), *_JAW[1:-1], (0.95, 0.3), (0, 0.2)],
    "inner": [(-0.85, 0.0), (-0.7, 0.9), (-0.4, 1.3), (0.4, 1.3), (0.7, 0.9), (0.85, 0.0), (0.75, -0.4), (-0.75, -0.4)],
    "mouth": [(-0.6, 0.75), (-0.55, 1.2), (0, 1.35), (0.55, 1.2), (0.6, 0.75), (0, 0.65)],
}
_SHARES = {"face": 0.55, "lower": 0.15, "inner": 0.2, "mouth": 0.1}


@dataclass(frozen=True)
class BlendShape:
    """One draw of a blend's shape; lengths are shares of the outline's longer side."""

    region: str
    """`face`, `lower`, `inner` or `mouth`"""
    displacement: np.ndarray
    """float32[2, 6, 6], -1..1: the elastic deformation at the nodes of a grid over the picture"""
    depth: float
    """its largest shift"""
    feather: float
    knee: float
    """weights below it are halved before the second feathering"""
    softness: float
    ratio: float
    """the largest weight"""

    def render(self, shape: tuple[int, int], landmarks: np.ndarray) -> np.ndarray:
        """The weights of the changed face: float32[H, W] in 0..1, exactly 0 away from the face.

        `landmarks` float[5, 2] in pixels (eyes, nose, mouth corners, left before right as seen).
        """
        hard = np.zeros(shape, np.float32)
        outline = face_outline(landmarks, self.region)
        cv2.fillPoly(hard, [np.rint(outline).astype(np.int32)], 1.0)
        side = float(np.ptp(outline, axis=0).max())
        soft = _blurred(_deformed(hard, self.displacement * side * self.depth), side * self.feather)
        soft = np.where(soft > self.knee, soft, soft * 0.5)
        soft = _blurred(soft.astype(np.float32), side * self.softness)
        soft[soft < 1 / 255] = 0
        return soft / max(float(soft.max()), 1e-6) * np.float32(self.ratio)


def draw_shape(rng: np.random.Generator, ratios: Sequence[float] = BLEND_RATIOS) -> BlendShape:
    """A region of the face, its deformation (Simard et al., ICDAR 2003), its feathering and one of `ratios`."""
    return BlendShape(
        region=str(rng.choice(list(_SHARES), p=list(_SHARES.values()))),
        displacement=rng.uniform(-1, 1, (2, 6, 6)).astype(np.float32),
        depth=rng.uniform(0.02, 0.07),
        feather=rng.uniform(0.02, 0.10),
        knee=rng.uniform(0.3, 0.7),
        softness=rng.uniform(0.01, 0.06),
        ratio=float(rng.choice(ratios)),
    )


def face_outline(landmarks: np.ndarray, region: str = "face") -> np.ndarray:
    """Polygon float64[n, 2] in pixels of one of the regions `face`, `lower`, `inner`, `mouth`."""
    points = np.asarray(landmarks, np.float64)
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    across, down = points[1] - points[0], mouth - eyes
    # In profile the eyes close up while the face does not: keep its width in proportion to its height.
    across *= max(1.0, 0.75 * np.linalg.norm(down) / max(float(np.linalg.norm(across)), 1e-6))
    return eyes + np.asarray(_OUTLINES[region]) @ np.stack([across, down])


def _deformed(mask: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """`displacement` in pixels, float32[2, 6, 6], spread smoothly over the picture."""
    height, width = mask.shape
    dx, dy = (cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC) for part in displacement)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(mask, x + dx, y + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)


def _blurred(mask: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(mask, (0, 0), max(sigma, 0.5))
