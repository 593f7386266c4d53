"""What a file shows between its sampled frames: neighbours of face crops, mouths and sound, over one window of it.

A scan samples a few frames of a second at most. Motion needs the frames next to them, and speech needs every frame: so
one window of `SECONDS` is read a second time, whole.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from interceptor.media.ahead import ahead
from interceptor.media.clips import Mouth, Sound
from interceptor.media.crops import cut
from interceptor.media.errors import MediaError
from interceptor.media.faces import FaceDetector
from interceptor.media.frames import Frame
from interceptor.media.probe import MediaInfo
from interceptor.media.sound import read_sound
from interceptor.media.tracks import FaceCrop, FaceTrack, FaceTracker
from interceptor.media.windows import EVERY, SECONDS, SOUND_MARGIN, WindowReader, cut_mouth

SAME = 1e-3
"""Seconds within which two times are one frame's."""
CLOSE = 0.03
"""Seconds within which a face is where it was."""
SPEECH_RATE = 30.0
"""Mouths are followed on so many frames a second; of more every second one is left out."""
NEAR = 0.25
"""Farthest, in sides of the crop, that the landmarks of one face may be apart as two trackers see them."""
MAX_FACES = 4
"""Mouths followed through a window, the largest faces first."""


@dataclass
class Motion:
    """One window of a file. Faces go by `FaceTrack.id`, crops by `FaceCrop.frame`."""

    start: float
    """seconds"""
    end: float
    neighbours: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    """by face and crop: uint8[2, 224, 224, 3], the frames before and after, cut as the crop was"""
    mouths: dict[int, Mouth] = field(default_factory=dict)
    """by face"""
    sound: Sound | None = None
    failures: Counter[str] = field(default_factory=Counter)
    """`undecodable_window`, `undecodable_sound`"""


def read_motion(
    path: str | os.PathLike[str],
    info: MediaInfo,
    detector: FaceDetector,
    tracks: Sequence[FaceTrack],
    chosen: Sequence[Sequence[FaceCrop]],
    at: float,
    *,
    speech: bool = True,
) -> Motion:
    """Read the window of a video or animation around `at`, in seconds, moved to lie inside the file.

    `tracks` are the file's faces, `chosen` the crops of each whose neighbours are wanted, where the window shows them.
    Mouths are followed and sound is read where the file has a sound track, unless `speech` is off.
    """
    length = info.duration or at + SECONDS / 2
    start = max(0.0, min(at - SECONDS / 2, length - SECONDS))
    found = Motion(start, min(start + SECONDS, length))
    wanted = [(track.id, crop) for track, crops in zip(tracks, chosen, strict=True) for crop in crops]
    speech = speech and bool(info.audio)
    rate = info.frame_rate or SPEECH_RATE
    step = max(1, round(rate / SPEECH_RATE))
    every = max(1, round(EVERY * rate / step / 25))  # flow carries over a time, not over a number of frames
    tracker = FaceTracker(detector, every=every, max_faces=MAX_FACES) if speech else None
    held: deque[Frame] = deque(maxlen=3)
    try:
        for order, frame in enumerate(ahead(WindowReader(path, info, start, found.end - start))):
            if tracker is not None and order % step == 0:
                tracker.feed(replace(frame, index=order // step))
            held.append(frame)
            if len(held) == 3:
                before, middle, after = held
                for face, crop in wanted:
                    if abs(crop.time - middle.time) < SAME:
                        pair = [cut(near.rgb, crop.landmarks) for near in (before, after)]
                        found.neighbours[face, crop.frame] = np.stack(pair)
    except MediaError:
        found.failures["undecodable_window"] += 1
        return found
    if tracker is None:
        return found
    for seen in tracker.finish():
        known = _same_face(seen, tracks)
        if known is not None and len(seen.crops) > 1:
            found.mouths.setdefault(known, cut_mouth(seen.crops))
    try:
        found.sound = read_sound(path, start - SOUND_MARGIN, found.end + SOUND_MARGIN)
    except MediaError:
        found.failures["undecodable_sound"] += 1
    return found


def _same_face(seen: FaceTrack, tracks: Sequence[FaceTrack]) -> int | None:
    """Which of `tracks` is at the same place at the same times; None where none is."""
    distances: dict[int, list[float]] = {}
    for track in tracks:
        for crop in track.crops:
            for other in seen.crops:
                if abs(crop.time - other.time) < CLOSE:
                    apart = float(np.linalg.norm(crop.landmarks - other.landmarks, axis=1).mean())
                    distances.setdefault(track.id, []).append(apart / crop.side)
    typical = {face: float(np.median(apart)) for face, apart in distances.items()}
    nearest = min(typical, key=lambda face: typical[face], default=None)
    return nearest if nearest is not None and typical[nearest] <= NEAR else None
