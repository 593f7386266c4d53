"""The common augmentation: what a picture suffers between the camera and us, drawn once and applied alike to a pair."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from interceptor.forges.codecs import h264, jpeg
from interceptor.media.clips import FaceClip, Mouth, NativeCrop

Step = Callable[[np.ndarray], np.ndarray]
"""uint8[H, W, 3] RGB to the same."""


def draw(rng: np.random.Generator, size: int) -> Step:
    """One draw of the augmentation for square crops of `size` pixels; the same step gives a pair the same treatment.

    Flip; rotation up to 8 degrees, scale up to 8 %, shift up to 4 %; colour; resampling; noise; then a real re-encode:
    H.264 at CRF 23-40 or JPEG at quality 40-95.
    """
    steps: list[Step] = []
    if rng.random() < 0.5:
        steps.append(lambda x: x[:, ::-1])
    if rng.random() < 0.6:
        steps.append(_geometry(rng, size))
    if rng.random() < 0.5:
        steps.append(_colour(rng))
    if rng.random() < 0.3:
        steps.append(_resampled(rng, size))
    if rng.random() < 0.15:
        steps.append(_noise(rng, size))
    kind = rng.random()
    if kind < 0.3:
        crf = int(rng.integers(23, 41))
        steps.append(lambda x: h264(x, crf))
    elif kind < 0.6:
        quality = int(rng.integers(40, 96))
        steps.append(lambda x: jpeg(x, quality))

    def apply(image: np.ndarray) -> np.ndarray:
        for step in steps:
            image = step(image)
        return np.ascontiguousarray(image)

    return apply


def _geometry(rng: np.random.Generator, size: int) -> Step:
    angle, scale = rng.uniform(-8, 8), rng.uniform(0.92, 1.08)
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), angle, scale)
    matrix[:, 2] += rng.uniform(-0.04, 0.04, 2) * size
    return lambda x: cv2.warpAffine(x, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def _colour(rng: np.random.Generator) -> Step:
    gain = rng.uniform(0.75, 1.25) * rng.uniform(0.94, 1.06, 3)
    gamma, offset = rng.uniform(0.8, 1.25), rng.uniform(-12, 12)
    ramp = np.arange(256)[:, None] / 255
    table = np.clip((ramp**gamma * 255) * gain + offset, 0, 255).astype(np.uint8)
    grey = rng.random() < 0.05

    def apply(image: np.ndarray) -> np.ndarray:
        changed = np.stack([table[image[..., c], c] for c in range(3)], -1)
        return np.repeat(cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY)[..., None], 3, 2) if grey else changed

    return apply


def _resampled(rng: np.random.Generator, size: int) -> Step:
    small = int(size * rng.uniform(0.35, 0.9))
    down = int(rng.choice([cv2.INTER_AREA, cv2.INTER_LINEAR]))
    up = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
    return lambda x: cv2.resize(cv2.resize(x, (small, small), interpolation=down), (size, size), interpolation=up)


def _noise(rng: np.random.Generator, size: int) -> Step:
    grain = rng.normal(0, rng.uniform(2, 8), (size, size, 1)).astype(np.float32)
    return lambda x: np.clip(x + grain, 0, 255).astype(np.uint8)


def draw_clip(rng: np.random.Generator) -> Callable[[FaceClip], FaceClip]:
    """One draw for all views of a face clip, for lenses that look at single pixels.

    Flip; colour; a real re-encode of each view on its own grid: H.264 at CRF 18-30 or JPEG at quality 60-95. No
    geometry, no resampling and no grain: they would wipe out the grid and the detail that native crops are kept for.
    A flip keeps the grid where native crops are whole blocks wide.
    """
    flip = rng.random() < 0.5
    steps: list[Step] = [_colour(rng)] if rng.random() < 0.5 else []
    kind = rng.random()
    if kind < 0.2:
        crf = int(rng.integers(18, 31))
        steps.append(lambda x: h264(x, crf))
    elif kind < 0.4:
        quality = int(rng.integers(60, 96))
        steps.append(lambda x: jpeg(x, quality))

    def picture(image: np.ndarray) -> np.ndarray:
        image = np.ascontiguousarray(image[:, ::-1]) if flip else image
        for step in steps:
            image = step(image)
        return image

    def stack(images: np.ndarray | None) -> np.ndarray | None:
        if images is None:
            return None
        return np.stack([picture(image) for image in images.reshape(-1, *images.shape[-3:])]).reshape(images.shape)

    def apply(clip: FaceClip) -> FaceClip:
        crops = stack(clip.crops)
        assert crops is not None
        native = clip.native and tuple(
            NativeCrop(picture(one.pixels), _flipped(one.landmarks, one.pixels.shape[1]) if flip else one.landmarks)
            for one in clip.native
        )
        mouth = clip.mouth and Mouth(clip.mouth.frames[:, :, ::-1] if flip else clip.mouth.frames, clip.mouth.times)
        landmarks = _flipped(clip.landmarks, crops.shape[2]) if flip else clip.landmarks
        return FaceClip(
            crops, landmarks, clip.times, stack(clip.context), native, stack(clip.neighbours), mouth, clip.sound
        )

    return apply


def _flipped(landmarks: np.ndarray, width: int) -> np.ndarray:
    """[..., 5, 2] in the mirrored picture: left and right change places."""
    return (landmarks * [-1, 1] + [width, 0])[..., [1, 0, 2, 4, 3], :].astype(np.float32)
