"""Small clips of a talking face for the miniature sets, made of NASA's portrait of Eileen Collins (public domain).

scikit-image carries the portrait. A person is a variant of it: other colours, proportions, grain, mirrored or not. The
camera drifts over the portrait, the mouth opens with the syllables that are heard, and a forgery has the face of
another person blended in.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

SECONDS, RATE, WIDTH, HEIGHT = 1.6, 25, 320, 240
SOUND_RATE = 16_000
FACE = (224.0, 112.0)
"""Centre of the face in the portrait, pixels."""
MOUTH = (226.0, 152.0)
PART = (slice(0, 320), slice(64, 384))
"""Rows and columns of the portrait that the camera sees."""


def write_clip(path: Path, person: int, donor: int | None = None, voice: int | None = None) -> None:
    """A clip of `person`, with the face of `donor` and the voice of `voice` where given, as H.264 and AAC in MP4."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = _portrait(person) if donor is None else _swapped(person, donor)
    count = round(SECONDS * RATE)
    opening = _syllables(person)
    samples = _speech(person if voice is None else voice)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=Fraction(RATE))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast"}
        sound: Any = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        for i in range(count):
            view = _view(picture, person, i / count, float(opening[round(i / RATE * SOUND_RATE)]))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, format="rgb24")))
        container.mux(stream.encode())
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SOUND_RATE, 0
        container.mux(sound.encode(frame))
        container.mux(sound.encode())


@cache
def _portrait(person: int) -> np.ndarray:
    """uint8[320, 320, 3] RGB, the face in the same place for everybody."""
    from skimage.data import astronaut

    rng = np.random.default_rng((0, person))
    mirror = -1.0 if person % 2 else 1.0
    wide, high = rng.uniform(0.9, 1.1, 2)
    matrix = np.array([[mirror * wide, 0, FACE[0] * (1 - mirror * wide)], [0, high, FACE[1] * (1 - high)]])
    picture = cv2.warpAffine(astronaut(), matrix, (512, 512), borderMode=cv2.BORDER_REFLECT)[PART].astype(np.float32)
    picture = 255 * (picture / 255) ** rng.uniform(0.75, 1.3)
    picture = picture * rng.uniform(0.8, 1.1, 3) + rng.normal(0, 2, picture.shape)
    return np.rint(np.clip(picture, 0, 255)).astype(np.uint8)


def _swapped(person: int, donor: int) -> np.ndarray:
    mask = np.zeros((320, 320), np.float32)
    centre = (int(FACE[0]) - 64, int(FACE[1]) + 8)
    cv2.ellipse(mask, centre, (46, 58), 0, 0, 360, 1.0, -1)
    weight = cv2.GaussianBlur(mask, (0, 0), 5)[..., None]
    return np.rint(_portrait(donor) * weight + _portrait(person) * (1 - weight)).astype(np.uint8)


def _view(picture: np.ndarray, person: int, turn: float, opening: float) -> np.ndarray:
    """uint8[240, 320, 3]: what the camera sees at `turn` (0..1) of its round, the mouth open by 0..1."""
    rows, columns = np.mgrid[0:320, 0:320].astype(np.float32)
    near = np.exp(-(((columns - MOUTH[0] + 64) / 24) ** 2) - ((rows - MOUTH[1] - 10) / 12) ** 2)
    spoken = cv2.remap(picture, columns, rows - 7 * opening * near, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    angle = 2 * np.pi * (turn + person / 7)
    centre = (FACE[0] - 64 + 8 * np.cos(angle), FACE[1] + 20 + 5 * np.sin(2 * angle))
    matrix = cv2.getRotationMatrix2D(centre, 3 * np.sin(angle), 0.95 + 0.08 * np.sin(angle))
    matrix[:, 2] += np.array([WIDTH / 2, HEIGHT / 2]) - centre
    return cv2.warpAffine(spoken, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)


def _syllables(voice: int) -> np.ndarray:
    """float64[samples], 0..1: how far the mouth is open; five syllables a second, no two alike."""
    rng = np.random.default_rng((1, voice))
    time = np.arange(round(SECONDS * SOUND_RATE) + 1) / SOUND_RATE
    middles = np.arange(0.1, SECONDS, 0.2) + rng.uniform(-0.04, 0.04, len(np.arange(0.1, SECONDS, 0.2)))
    bumps = rng.uniform(0.4, 1, len(middles)) * np.exp(-(((time[:, None] - middles) / 0.05) ** 2))
    return np.clip(bumps.sum(1), 0, 1)


def _speech(voice: int) -> np.ndarray:
    """float32[samples]: harmonics of a voice, as loud as its mouth is open."""
    rng = np.random.default_rng((2, voice))
    time = np.arange(round(SECONDS * SOUND_RATE)) / SOUND_RATE
    pitch = rng.uniform(90, 220)
    tone = sum(np.sin(2 * np.pi * pitch * k * time + rng.uniform(0, 6)) / k for k in range(1, 16))
    noise = rng.normal(0, 0.003, len(time))
    return (0.15 * tone * _syllables(voice)[:-1] + noise).astype(np.float32)
