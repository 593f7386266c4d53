"""Clips with one face or two, each crop about 110 pixels a side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from media_maker import encode
from portraits import background, other_person, paste, placement

WIDTH, HEIGHT = 384, 224


def face_picture() -> np.ndarray:
    """uint8[HEIGHT, WIDTH, 3] RGB with one face on the left."""
    return paste(background(HEIGHT, WIDTH), placement((95, 112), 110))


def face_clip(
    path: Path,
    count: int = 24,
    *,
    second: bool = False,
    brief: int = 0,
    gop: int = 12,
    light: float = 1.0,
    **settings: Any,
) -> Path:
    """Writes a clip of a face drifting to the right, at 25 frames a second. `second`: another face on the right; only
    on the first `brief` frames, if given. `light` is a factor on all pixels. Other settings are `encode`'s.
    """
    frames = []
    for i in range(count):
        frame = paste(background(HEIGHT, WIDTH), placement((95 + 16 * i / count, 112), 110))
        if second and (not brief or i < brief):
            frame = paste(frame, placement((288, 112), 108), other_person())
        frames.append((frame * light).astype(np.uint8))
    return encode(path, frames, options={"crf": "20"}, gop=gop, **settings)
