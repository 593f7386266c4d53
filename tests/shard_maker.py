"""Tiny prepared folders, out of smooth random pictures: forged samples carry a flat patch in every view."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from interceptor.datasets.shards import Row, ShardWriter
from interceptor.media.clips import FaceClip, Mouth, NativeCrop, Sound
from interceptor.media.crops import CONTEXT_SIZE, TEMPLATE
from test_self_blend import picture

RATE = 16_000


def clip(number: int, forged: bool) -> FaceClip:
    """One face with every view."""
    rng = np.random.default_rng(number)
    crop, before, after = (_patched(picture(number + i), forged) for i in range(3))
    context = _patched(np.repeat(np.repeat(picture(number), 2, 0), 2, 1)[:CONTEXT_SIZE, :CONTEXT_SIZE], forged)
    times = np.arange(50) / 25
    mouth = Mouth(rng.integers(0, 256, (50, 64, 96), dtype=np.uint8), times)
    tone = 0.2 * np.sin(2 * np.pi * 300 * np.arange(2 * RATE) / RATE) * (1 + np.sin(6 * np.arange(2 * RATE) / RATE))
    return FaceClip(
        crop[None],
        (TEMPLATE * 224)[None],
        np.array([1.0]),
        context[None],
        (NativeCrop(_patched(picture(number), forged), TEMPLATE * 224),),
        np.stack([before, after])[None],
        mouth,
        Sound(tone.astype(np.float32), RATE, 0.0),
    )


def write_shards(folder: Path, count: int = 8, chunks: int = 0, *, talk: bool = True) -> Path:
    """`count` samples of each class for training (in each of `chunks`, if any), and half as many for validation."""
    with ShardWriter(folder, "samples") as writer:
        number = 0
        for split, chunk, many in [
            *(("train", chunk, count) for chunk in (range(chunks) if chunks else [None])),
            ("val", None, max(1, count // 2)),
        ]:
            for i in range(many):
                for label in (0, 1):
                    made = clip(number + 2 * i, bool(label))
                    row = Row(
                        key=f"s{number:04d}{label}",
                        label=label,
                        method="patch" if label else "",
                        split=split,
                        group=f"g{number}",
                        source="made" if i % 2 else "other",
                        video=f"{number}.mp4",
                        chunk=chunk,
                    )
                    writer.write(row, made if talk else _mute(made))
                number += 1
    return folder


def _mute(made: FaceClip) -> FaceClip:
    return FaceClip(made.crops, made.landmarks, made.times)


def _patched(image: np.ndarray, forged: bool) -> np.ndarray:
    image = image.copy()
    if forged:
        image[60:160, 60:160] = image[60:160, 60:160] // 2 + 60
    return image
