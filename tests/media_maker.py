"""Small test media, made with PyAV and Pillow when a test needs them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np


def numbered_frames(count: int, width: int = 96, height: int = 64) -> list[np.ndarray]:
    """Frames uint8[height, width, 3] that `frame_number` tells apart after any codec: the number as eight grey bars."""
    frames = []
    for number in range(count):
        bits = [(number >> bit) & 1 for bit in range(8)]
        row = np.repeat(np.array(bits, np.uint8) * 160 + 48, -(-width // 8))[:width]
        frames.append(np.ascontiguousarray(np.broadcast_to(row[None, :, None], (height, width, 3))))
    return frames


def frame_number(rgb: np.ndarray) -> int:
    """The number that `numbered_frames` wrote."""
    height, width = rgb.shape[:2]
    bar = -(-width // 8)
    middle = rgb[height // 4 : -height // 4]
    means = [middle[:, bit * bar + bar // 4 : (bit + 1) * bar - bar // 4].mean() for bit in range(8)]
    return sum(int(mean > 128) << bit for bit, mean in enumerate(means))


def encode(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    fps: Fraction | int = 25,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    gop: int = 12,
    rotation: int = 0,
    mirror: bool = False,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    audio: np.ndarray | None = None,
    sample_rate: int = 16_000,
    layout: str = "mono",
    options: dict[str, str] | None = None,
    format: str | None = None,
    colorspace: int | None = None,
    color_range: int | None = None,
) -> Path:
    """Writes a clip and returns its path; the container follows from the name unless `format` is given.

    `frames` are uint8[H, W, 3] RGB as stored, `rotation` degrees clockwise for display, `pts` display times in units of
    `time_base` (default one frame) for a variable rate, `audio` float32[samples] in -1..1 for all channels of `layout`.
    `colorspace` and `color_range` (FFmpeg's numbers) are converted to and tagged.
    """
    height, width = frames[0].shape[:2]
    base = time_base or 1 / Fraction(fps)
    with av.open(str(path), "w", format=format) as container:
        stream: Any = container.add_stream(codec, rate=Fraction(fps), options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.gop_size = gop
        stream.codec_context.time_base = base
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        if color_range is not None:
            stream.codec_context.color_range = color_range
        if rotation or mirror:
            stream.set_display_rotation(-rotation, hflip=mirror)
        sound: Any = None
        if audio is not None:
            sound_codec = "libopus" if path.suffix == ".webm" else "aac"
            sound = container.add_stream(sound_codec, rate=sample_rate, layout=layout)
        for number, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame = frame.reformat(format=pix_fmt, dst_colorspace=colorspace, dst_color_range=color_range)
            frame.pts = number if pts is None else pts[number]
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None:
            channels = np.tile(np.asarray(audio, np.float32), (av.AudioLayout(layout).nb_channels, 1))
            samples = av.AudioFrame.from_ndarray(channels, format="fltp", layout=layout)
            samples.sample_rate = sample_rate
            samples.pts = 0
            container.mux(sound.encode(samples))
            container.mux(sound.encode())
    return path


def encode_sound(path: Path, audio: np.ndarray, sample_rate: int = 16_000) -> Path:
    """Writes a file with a sound track only."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=sample_rate, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.asarray(audio, np.float32)[None], format="fltp", layout="mono")
        samples.sample_rate = sample_rate
        container.mux(stream.encode(samples))
        container.mux(stream.encode())
    return path


def packets(path: Path) -> list[tuple[int, int, int, bool]]:
    """(byte position, size, display time in ticks, key frame) of each video packet, in decoding order."""
    with av.open(str(path)) as container:
        return [(p.pos, p.size, p.pts, p.is_keyframe) for p in container.demux(video=0) if p.size]


def damage(path: Path, numbers: Sequence[int], seed: int = 0) -> Path:
    """Overwrites the given packets (in decoding order) with noise, in place."""
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    table = packets(path)
    for number in numbers:
        position, size = table[number][:2]
        data[position + 8 : position + size] = rng.integers(0, 256, size - 8, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    return path
