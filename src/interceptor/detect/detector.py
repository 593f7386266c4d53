"""The face detector that ships, on the inference runtime."""

from __future__ import annotations

from pathlib import Path

from interceptor.detect import weights
from interceptor.detect.runtime import Network
from interceptor.media.faces import FaceDetector


def load_detector(folder: Path = weights.FOLDER) -> FaceDetector:
    """CenterFace, its file checked against its card. Raises `WeightError`."""
    weights.load_card("centerface", folder)
    return FaceDetector(lambda shape: Network(folder / "centerface.onnx", shape=shape))
