"""Real re-encodes of one picture, in memory."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
from PIL import Image


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """uint8[H, W, 3] RGB through a JPEG file of this quality (1-100)."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def h264(image: np.ndarray, crf: int) -> np.ndarray:
    """uint8[H, W, 3] RGB, H and W even, through an H.264 stream (libx264, 4:2:0) of this constant rate factor."""
    buffer = io.BytesIO()
    height, width = image.shape[:2]
    with av.open(buffer, "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        stream.options = {"crf": str(crf), "preset": "veryfast", "tune": "zerolatency"}
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    buffer.seek(0)
    with av.open(buffer, format="h264") as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")
