"""A file read once for a scan: its faces followed, the crops to score chosen."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from interceptor.detect.verdict import spread
from interceptor.media import FrameReader, MediaInfo, probe
from interceptor.media.ahead import ahead
from interceptor.media.faces import FaceDetector
from interceptor.media.native import grid_phase
from interceptor.media.tracks import FaceCrop, FaceTrack, FaceTracker

QUALITY_FRAMES = 4
"""Sampled frames that the full tier measures the file's quality on."""


class Found(NamedTuple):
    """A file that was read once."""

    info: MediaInfo
    tracks: list[FaceTrack]
    chosen: list[list[FaceCrop]]
    """the crops of each track that are scored"""
    reader: FrameReader
    tracker: FaceTracker
    kept: list[np.ndarray]
    """a few whole frames, uint8[H, W, 3] RGB"""


def find_faces(
    path: Path, detector: FaceDetector, *, frames: int, crops: int, keep: int, context: bool = False
) -> Found:
    """Read a file once and follow its faces, with `context` crops where asked. Raises `MediaError` where nothing can be
    read.
    """
    info = probe(path)
    reader = FrameReader(path, info, frames)
    tracker = FaceTracker(detector, grid=grid_phase(info), context=context)
    wanted = {int((i + 0.5) * reader.requested / keep) for i in range(keep)}
    kept = []
    for frame in ahead(reader):
        tracker.feed(frame)
        if frame.index in wanted:
            kept.append(frame.rgb)
    tracks = tracker.finish()
    return Found(info, tracks, [spread(track.crops, crops) for track in tracks], reader, tracker, kept)
