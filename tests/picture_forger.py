"""Pictures forged so that one kind of evidence must show it, and their authentic twins."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Saved:
    """How a picture is to be written: Pillow's format and options."""

    format: str
    options: dict[str, Any] = field(default_factory=dict)

    def bytes(self, rgb: np.ndarray) -> bytes:
        file = io.BytesIO()
        Image.fromarray(rgb).save(file, self.format, **self.options)
        return file.getvalue()


Forger = Callable[[np.ndarray, np.ndarray, tuple[slice, slice]], tuple[np.ndarray, np.ndarray]]
"""(source, another source, region) to (authentic, forged), all uint8[H, W, 3]."""
PNG = Saved("PNG")


def jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    """A picture saved as a JPEG and read again."""
    data = Saved("JPEG", {"quality": quality, "subsampling": 0}).bytes(rgb)
    return np.array(Image.open(io.BytesIO(data)))


@functools.cache
def scene(seed: int, height: int = 512, width: int = 640) -> np.ndarray:
    """A never compressed scene, uint8[H, W, 3]: shading, detail of all sizes, edges, and a little sensor noise."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3))
    for scale in (0.6, 1.2, 2.5, 5, 10, 20, 40):  # blurred, not enlarged: enlarging would leave a period
        octave = rng.normal(0, 1, (height, width, 3)) * [0.3, 0.25, 0.2] + rng.normal(0, 0.8, (height, width, 1))
        octave = cv2.GaussianBlur(octave, (0, 0), scale)
        picture += octave * (4 * scale**0.4 / octave.std())
    for _ in range(12):
        corner, size = rng.integers(0, [width, height]), rng.integers(30, 150, 2)
        tone = rng.normal(0, 30, 3)
        shape = np.zeros((height, width), np.float32)
        cv2.ellipse(shape, corner.tolist(), size.tolist(), float(rng.uniform(0, 180)), 0, 360, 1, -1, cv2.LINE_AA)
        picture += shape[..., None] * tone
    picture += 125 + rng.normal(0, 1.2, picture.shape)
    made = np.clip(np.round(picture), 0, 255).astype(np.uint8)
    made.setflags(write=False)  # it is shared
    return made


def _put(whole: np.ndarray, part: np.ndarray, region: tuple[slice, slice]) -> np.ndarray:
    forged = whole.copy()
    forged[region] = part[region] if part.shape == whole.shape else part
    return forged


def other_history(source: np.ndarray, other: np.ndarray, region: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    """A JPEG of quality 75 with a part that never was one."""
    whole = jpeg(source, 75)
    return whole, _put(whole, other, region)


def lower_quality(source: np.ndarray, other: np.ndarray, region: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    """A part that was a JPEG of quality 60 before, on the same grid."""
    return source, _put(source, jpeg(other, 60), region)


def shifted_grid(source: np.ndarray, other: np.ndarray, region: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    """A JPEG of quality 95 with a part of another of quality 60, whose grid is shifted by (3, 5)."""
    whole, part = jpeg(source, 95), np.roll(jpeg(np.roll(other, (-3, -5), (0, 1)), 60), (3, 5), (0, 1))
    return whole, _put(whole, part, region)


def other_noise(source: np.ndarray, other: np.ndarray, region: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    """Noise of 6 grey levels added to a part."""
    noisy = source + np.random.default_rng(9).normal(0, 6, source.shape)
    return source, _put(source, np.clip(np.round(noisy), 0, 255).astype(np.uint8), region)


def mosaicked(source: np.ndarray, other: np.ndarray, region: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    """A demosaiced picture, a part of it replaced by a smoothed one without the mosaic's traces."""
    raw = np.zeros(source.shape[:2], np.uint8)
    raw[0::2, 0::2], raw[1::2, 1::2] = source[0::2, 0::2, 0], source[1::2, 1::2, 2]
    raw[0::2, 1::2], raw[1::2, 0::2] = source[0::2, 1::2, 1], source[1::2, 0::2, 1]
    whole = cv2.cvtColor(raw, cv2.COLOR_BayerRGGB2RGB)
    return whole, _put(whole, cv2.GaussianBlur(other, (0, 0), 0.7), region)


def enlarged(source: np.ndarray, other: np.ndarray, region: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    """A part enlarged 1.3 times."""
    height, width = source.shape[:2]
    larger = cv2.resize(other, None, fx=1.3, fy=1.3, interpolation=cv2.INTER_CUBIC)[:height, :width]
    return source, _put(source, larger, region)


FORGERIES: dict[str, tuple[Forger, Saved]] = {
    "error_level": (other_history, PNG),
    "ghosts": (lower_quality, Saved("JPEG", {"quality": 95, "subsampling": 0})),
    "quantisation": (other_history, Saved("JPEG", {"quality": 92, "subsampling": 0})),
    "blockgrid": (shifted_grid, PNG),
    "noise": (other_noise, PNG),
    "demosaic": (mosaicked, PNG),
    "resampling": (enlarged, PNG),
}
"""For each map the forgery that it must show, and how the file is written."""
