"""Self-blended faces: a face blended onto itself after a small change, so that only the blend betrays it.

Shiohara & Yamasaki, Detecting Deepfakes with Self-Blended Images, CVPR 2022 (arXiv 2204.08376). The paper takes the
hull of 81 landmarks; here the outline of a face is laid through five (eyes, nose, mouth corners), which the detector
gives.
"""

from __future__ import annotations

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
class Forgery:
    """A forged picture beside its original."""

    real: np.ndarray
    """uint8[H, W, 3] RGB"""
    fake: np.ndarray
    """uint8[H, W, 3] RGB; bit-identical to `real` wherever `mask` is 0"""
    mask: np.ndarray
    """float32[H, W], 0..1: the share of the changed face in each pixel"""


def self_blend(image: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator) -> Forgery:
    """Blend the face in `image` onto itself.

    image: uint8[H, W, 3] RGB. landmarks: float[5, 2] in pixels (eyes, nose, mouth corners, left before right as seen).
    """
    mask = blend_mask(image.shape[:2], landmarks, rng)
    changed = _changed(image, rng)
    source, target = (changed, image) if rng.random() < 0.5 else (image, changed)
    source = _moved(source, landmarks, rng)
    weight = mask[..., None]
    fake = np.rint(source * weight + target * (1 - weight)).astype(np.uint8)
    return Forgery(target, fake, mask)


def blend_mask(shape: tuple[int, int], landmarks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A soft, deformed face region times a blend ratio: float32[H, W] in 0..1, exactly 0 away from the face."""
    region = str(rng.choice(list(_SHARES), p=list(_SHARES.values())))
    hard = np.zeros(shape, np.float32)
    outline = face_outline(landmarks, region)
    cv2.fillPoly(hard, [np.rint(outline).astype(np.int32)], 1.0)
    side = float(np.ptp(outline, axis=0).max())
    hard = _deformed(hard, side, rng)
    soft = _blurred(hard, side * rng.uniform(0.02, 0.10))
    soft = np.where(soft > rng.uniform(0.3, 0.7), soft, soft * 0.5)
    soft = _blurred(soft.astype(np.float32), side * rng.uniform(0.01, 0.06))
    soft[soft < 1 / 255] = 0
    return soft / max(float(soft.max()), 1e-6) * np.float32(rng.choice(BLEND_RATIOS))


def face_outline(landmarks: np.ndarray, region: str = "face") -> np.ndarray:
    """Polygon float64[n, 2] in pixels of one of the regions `face`, `lower`, `inner`, `mouth`."""
    points = np.asarray(landmarks, np.float64)
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    across, down = points[1] - points[0], mouth - eyes
    # In profile the eyes close up while the face does not: keep its width in proportion to its height.
    across *= max(1.0, 0.75 * np.linalg.norm(down) / max(float(np.linalg.norm(across)), 1e-6))
    return eyes + np.asarray(_OUTLINES[region]) @ np.stack([across, down])


def _deformed(mask: np.ndarray, side: float, rng: np.random.Generator) -> np.ndarray:
    """Elastic deformation (Simard et al., ICDAR 2003): a smooth random displacement of a few percent of the face."""
    height, width = mask.shape
    coarse = rng.uniform(-1, 1, (2, 6, 6)).astype(np.float32) * side * rng.uniform(0.02, 0.07)
    dx, dy = (cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC) for part in coarse)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(mask, x + dx, y + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)


def _blurred(mask: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(mask, (0, 0), max(sigma, 0.5))


def _changed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A small change of colour, and then of sharpness, resolution or compression."""
    pixels = image.astype(np.float32)
    pixels += rng.uniform(-10, 10, 3)
    hsv = cv2.cvtColor(np.clip(pixels, 0, 255).astype(np.uint8), cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + rng.uniform(-4, 4)) % 180
    hsv[..., 1:] *= rng.uniform(0.75, 1.25, 2)
    pixels = cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.float32)
    mean = pixels.mean((0, 1))
    pixels = (pixels - mean) * rng.uniform(0.85, 1.15) + mean
    height, width = image.shape[:2]
    match rng.choice(["sharpen", "shrink", "jpeg", "none"], p=[0.25, 0.45, 0.15, 0.15]):
        case "sharpen":
            pixels += (pixels - cv2.GaussianBlur(pixels, (0, 0), 1.5)) * rng.uniform(0.2, 0.8)
        case "shrink":
            ratio = rng.uniform(0.25, 0.7)
            small = cv2.resize(
                pixels, (max(8, int(width * ratio)), max(8, int(height * ratio))), interpolation=cv2.INTER_AREA
            )
            pixels = cv2.resize(
                small, (width, height), interpolation=int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
            )
        case "jpeg":
            quality = int(rng.integers(40, 95))
            bgr = cv2.cvtColor(np.clip(pixels, 0, 255).astype(np.uint8), cv2.COLOR_RGB2BGR)
            coded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            pixels = cv2.cvtColor(cv2.imdecode(coded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB).astype(np.float32)
    return np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)


def _moved(image: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shift by up to 3 %, scale by up to 5 % of the face, about the nose."""
    size = np.ptp(face_outline(landmarks), axis=0)
    centre = np.asarray(landmarks, np.float64)[2]
    scale = rng.uniform(0.95, 1.05, 2)
    shift = rng.uniform(-0.03, 0.03, 2) * size
    matrix = np.column_stack([np.diag(scale), centre - scale * centre + shift])
    return cv2.warpAffine(image, matrix, image.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
