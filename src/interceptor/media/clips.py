"""A face clip: one face over a stretch of time, as lenses see it and forges alter it.

All pictures are uint8 RGB unless said otherwise; all times are seconds from the start of the file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NativeCrop:
    """The face's own pixels, never resampled; the top left one lies on the codec's 8 x 8 grid."""

    pixels: np.ndarray
    """uint8[h, w, 3]; h and w are multiples of 8 unless the frame ends there"""
    landmarks: np.ndarray
    """float32[5, 2], pixels of `pixels`, in the order of the crop template"""


@dataclass(frozen=True)
class Mouth:
    """The mouth on every decoded frame of a window."""

    frames: np.ndarray
    """uint8[t, 64, 96] grey, cut by the eyes and nose only, so that the lips move in it"""
    times: np.ndarray
    """float64[t], rising"""


@dataclass(frozen=True)
class Sound:
    """A stretch of the sound track, channels averaged."""

    samples: np.ndarray
    """float32[k], -1 to 1"""
    rate: int
    """samples per second"""
    start: float
    """time of the first sample"""
    missing: float = 0.0
    """seconds within it for which the track has no samples; they are zeros"""


@dataclass(frozen=True)
class FaceClip:
    """`n` crops of one face and what else is known of it; `None` where the file does not have it."""

    crops: np.ndarray
    """uint8[n, 224, 224, 3], aligned by the crop convention"""
    landmarks: np.ndarray
    """float32[n, 5, 2], pixels of the crops"""
    times: np.ndarray
    """float64[n]"""
    context: np.ndarray | None = None
    """uint8[n, 320, 320, 3]: the same faces, 2.5 times as wide"""
    native: tuple[NativeCrop, ...] | None = None
    """n of them"""
    neighbours: np.ndarray | None = None
    """uint8[n, 2, 224, 224, 3]: the frames before and after, cut with the similarity of the frame between them"""
    mouth: Mouth | None = None
    sound: Sound | None = None
