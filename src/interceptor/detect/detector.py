"""The face detector that ships, on the inference runtime."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from interceptor.media.faces import FaceDetector
from interceptor.runtime import weights
from interceptor.runtime.network import Network

SHAPES = 4
"""Input shapes kept compiled: each holds about 50 MB, and a folder of pictures can have as many shapes as files."""


def load_detector(folder: Path = weights.FOLDER, threads: int | None = None) -> FaceDetector:
    """CenterFace, its file checked against its card; on all processors unless told. Raises `WeightError`."""
    weights.load_card("centerface", folder)

    @lru_cache(SHAPES)
    def network(shape: tuple[int, ...]) -> Network:
        return Network(folder / "centerface.onnx", shape=shape, threads=threads)

    return FaceDetector(lambda shape: lambda pixels: network(shape)(pixels))
