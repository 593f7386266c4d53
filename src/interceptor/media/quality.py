"""How good a picture is to judge by: pure measures of one frame (uint8[H, W, 3] RGB), and of a file's facts.

All on luma at native resolution. None tells a forgery; they say which detectors have something to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np

from interceptor.media.probe import MediaInfo

BLOCK = 8
SHARE = 0.95
"""Of the whitened spectrum's energy, which lies below the frequency that counts as the highest one present."""
NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


@dataclass(frozen=True)
class Quality:
    """Medians over a file's sampled frames; None where there was no frame to measure or the file does not say."""

    luma: float | None
    """mean, 0..255"""
    blockiness: float | None
    """1: no 8 x 8 grid; above: steps at its lines are that many times those between them"""
    upscaling: float | None
    """1: detail up to the finest; 2: no more than half the width and height would hold"""
    sharpness: float | None
    """variance of the Laplacian"""
    noise: float | None
    """standard deviation, levels of 0..255"""
    bits_per_pixel: float | None
    face_size: float | None
    """median side of the face crops, pixels of the frame"""
    sound: bool
    frames: int | None
    """of the file; None where that is not known"""

    def measures(self) -> dict[str, float]:
        """What is a number, by name; NaN where it is not known."""
        return {
            field.name: np.nan if value is None else float(value)
            for field in fields(self)
            if field.name not in ("sound", "frames")
            for value in [getattr(self, field.name)]
        }


def measure_quality(frames: Sequence[np.ndarray], info: MediaInfo, face_sizes: Sequence[float] = ()) -> Quality:
    """All measures of a file: its sampled frames uint8[H, W, 3] RGB, its facts, its face crops' sides in pixels."""
    grey = [luma(frame) for frame in frames]
    rows = [(float(y.mean()), blockiness(y), upscaling(y), sharpness(y), noise(y)) for y in grey]
    light, blocks, scale, detail, grain = map(float, np.median(rows, axis=0)) if rows else (None,) * 5
    return Quality(
        luma=light,
        blockiness=blocks,
        upscaling=scale,
        sharpness=detail,
        noise=grain,
        bits_per_pixel=bits_per_pixel(info),
        face_size=float(np.median(face_sizes)) if len(face_sizes) else None,
        sound=bool(info.audio),
        frames=info.frames,
    )


def luma(rgb: np.ndarray) -> np.ndarray:
    """uint8[H, W], Rec. 601."""
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def blockiness(y: np.ndarray) -> float:
    """Mean step across the lines of the 8 x 8 grid over the mean step elsewhere (after Wang, Sheikh & Bovik, ICIP
    2002), for `y` uint8[H, W]; 1 where the frame is flat or smaller than two blocks.

    The grid must start at the top left pixel: a frame that was scaled or cropped since it was coded hides it.
    """
    at_lines = elsewhere = 0.0
    for image in (y, y.T):
        if image.shape[1] < 2 * BLOCK:
            return 1.0
        steps = cv2.absdiff(image[:, 1:], image[:, :-1]).mean(axis=0)
        line = np.arange(1, steps.size + 1) % BLOCK == 0
        at_lines += float(steps[line].mean())
        elsewhere += float(steps[~line].mean())
    return at_lines / elsewhere if elsewhere > 0 else 1.0


def upscaling(y: np.ndarray) -> float:
    """How many times wider the frame is than its detail needs, for `y` uint8[H, W]; 1 or more.

    From the highest frequency present: that below which lie 95 % of the energy of the spectrum times frequency squared
    (natural pictures fall off so; Field 1987). Blur, strong compression and scaling up look alike to it.
    """
    found = []
    for image in (y, y.T):
        step = max(1, image.shape[0] // 128)  # that many lines tell as much as all
        lines = image[::step].astype(np.float32)
        lines = (lines - lines.mean(axis=1, keepdims=True)) * np.hanning(lines.shape[1]).astype(np.float32)
        power = (np.abs(np.fft.rfft(lines, axis=1)) ** 2).sum(axis=0)
        energy = np.cumsum(power * np.arange(power.size) ** 2)
        if energy[-1] <= 0:
            return 1.0
        found.append(np.searchsorted(energy, SHARE * energy[-1]) / (power.size - 1))
    return float(max(1.0, SHARE / max(np.mean(found), 1e-3)))


def sharpness(y: np.ndarray) -> float:
    """Variance of the Laplacian of `y` uint8[H, W] (Pech-Pacheco et al., ICPR 2000)."""
    return float(cv2.Laplacian(y, cv2.CV_32F).var())


def noise(y: np.ndarray) -> float:
    """Standard deviation of Gaussian noise in `y` uint8[H, W] (Immerkaer 1996); fine texture counts as noise too."""
    response = cv2.filter2D(y, cv2.CV_32F, NOISE_KERNEL)
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(response).mean())


def bits_per_pixel(info: MediaInfo) -> float | None:
    """Bits spent on a pixel of a frame; None where the file does not say enough."""
    pixels = info.width * info.height
    if info.kind == "picture":
        return 8 * info.size / pixels
    if not info.bit_rate or not info.frame_rate:
        return None
    return info.bit_rate / info.frame_rate / pixels
