"""Animated pictures (GIF, APNG, WebP): how long each frame is shown, and the frames as displayed."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from interceptor.media.stills import to_rgb

DEFAULT_DURATION = 0.1
"""Seconds for frames that ask for 10 ms or less, as browsers show them."""


def frame_durations(path: str | os.PathLike[str], format: str) -> list[float]:
    """Seconds for each frame, read without decoding; empty where there is no animation. `format` is Pillow's name."""
    parsers = {"GIF": _gif_delays, "PNG": _png_delays, "WEBP": _webp_delays}
    if format not in parsers:
        return []
    delays: list[float] = []
    with Path(path).open("rb") as file:
        try:
            for delay in parsers[format](file):
                delays.append(delay if delay > 0.01 else DEFAULT_DURATION)
        except (struct.error, IndexError):  # the file ends inside a block: what was announced until here counts
            pass
    return delays


def _gif_delays(file: BinaryIO) -> Iterator[float]:
    """GIF89a: a delay in the graphic control block, then the image it belongs to."""

    def skip_blocks() -> None:
        while length := file.read(1)[0]:
            file.seek(length, os.SEEK_CUR)

    flags = file.read(13)[10]
    file.seek(3 << ((flags & 7) + 1) if flags & 0x80 else 0, os.SEEK_CUR)
    delay = 0.0
    while kind := file.read(1):
        if kind == b"!":
            if file.read(1) == b"\xf9":
                delay = struct.unpack("<xxHx", file.read(5))[0] / 100
            skip_blocks()
        elif kind == b",":
            flags = file.read(9)[8]
            file.seek((3 << ((flags & 7) + 1) if flags & 0x80 else 0) + 1, os.SEEK_CUR)
            skip_blocks()
            yield delay
            delay = 0.0
        else:
            return


def _png_delays(file: BinaryIO) -> Iterator[float]:
    """APNG: the delay is a fraction in each frame control chunk."""
    file.seek(8)
    while len(header := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        if kind == b"fcTL":
            numerator, denominator = struct.unpack(">HH", file.read(length)[20:24])
            yield numerator / (denominator or 100)
            file.seek(4, os.SEEK_CUR)
        else:
            file.seek(length + 4, os.SEEK_CUR)


def _webp_delays(file: BinaryIO) -> Iterator[float]:
    """Animated WebP: milliseconds in each ANMF chunk."""
    file.seek(12)
    while len(header := file.read(8)) == 8:
        kind, length = struct.unpack("<4sI", header)
        if kind == b"ANMF":
            yield int.from_bytes(file.read(16)[12:15], "little") / 1000
            file.seek(length + (length & 1) - 16, os.SEEK_CUR)
        else:
            file.seek(length + (length & 1), os.SEEK_CUR)


def composited(image: Image.Image, wanted: list[int]) -> Iterator[tuple[int, np.ndarray | None]]:
    """The wanted frames (ascending) as (number, uint8[H, W, 3]), None for one that cannot be decoded."""
    first = int(bool(image.info.get("default_image")))  # an APNG may start with a picture outside the animation
    for number in wanted:
        try:
            image.seek(number + first)
            rgb: np.ndarray | None = to_rgb(image)
        except Exception:  # decoders raise anything; the caller counts the frame as failed
            rgb = None
        yield number, rgb
