"""A labelled video as samples: windows spread over its length, every frame of each read once, a few moments kept."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from interceptor.datasets.manifest import Row
from interceptor.datasets.packing import Packed, pack
from interceptor.datasets.videos import Video
from interceptor.lenses import LENSES
from interceptor.lenses.lens import View
from interceptor.media import probe
from interceptor.media.clips import FaceClip, NativeCrop
from interceptor.media.faces import FaceDetector
from interceptor.media.native import GRID
from interceptor.media.windows import EVERY, SECONDS, cut_window

SHORT = EVERY / 25
"""Seconds from one detected face to the next, at 25 frames a second."""
ALL: tuple[str, ...] = get_args(View)


@dataclass(frozen=True)
class Sampling:
    """What is taken of each video."""

    windows: int = 4
    """stretches, evenly over the length; fewer where the video is too short for so many"""
    crops: int = 2
    """moments of each window"""
    faces: int = 1
    """most visible faces of each window"""
    views: tuple[str, ...] = ALL
    """what is stored beside the crops"""

    @property
    def seconds(self) -> float:
        """Length of a window: as long as the audio-visual lens needs, else just long enough for its moments."""
        return SECONDS if {"mouth", "sound"} & set(self.views) else SHORT * (self.crops + 1)


def views_for(codes: Iterable[str]) -> tuple[str, ...]:
    """What these specialists look at. Raises `ValueError`, listing all codes, for any other."""
    codes = list(codes)
    if unknown := [code for code in codes if code not in LENSES]:
        raise ValueError(f"no specialist {', '.join(unknown)}; there are {', '.join(LENSES)}")
    wanted = {view for code in codes for view in LENSES[code].views}
    return tuple(view for view in ALL if view in wanted)


def samples_of(video: Video, detector: FaceDetector, sampling: Sampling) -> tuple[list[Packed], Counter[str]]:
    """The packed samples of a video, and what was counted: `windows`, `windows_without_face` and failures by cause.

    Raises `MediaError` for a file that cannot be read.
    """
    info = probe(video.path)
    counts: Counter[str] = Counter()
    packed: list[Packed] = []
    count = 1
    if info.duration:
        count = min(sampling.windows, max(1, int(info.duration / sampling.seconds)))
    for window in range(count):
        at = info.duration * (window + 0.5) / count if info.duration else None
        found = cut_window(
            video.path,
            info,
            detector,
            at=at,
            seconds=sampling.seconds,
            crops=sampling.crops,
            max_faces=sampling.faces,
        )
        counts["windows"] += 1
        counts["windows_without_face"] += not found.clips
        counts.update(found.failures)
        for face, clip in enumerate(found.clips):
            views = set(sampling.views)
            if clip.mouth is None or clip.sound is None:
                views -= {"mouth", "sound"}  # one says nothing without the other
            for number, moment in enumerate(moments(keep(clip, views))):
                row = row_of(video, float(moment.times[0]), info.frame_rate, face)
                packed.append(pack(row, moment, talk=number == 0))
    return packed, +counts


def keep(clip: FaceClip, views: Collection[str]) -> FaceClip:
    """The clip with its crops and, beside them, these views alone."""
    left_out: dict[str, Any] = dict.fromkeys(set(ALL) - set(views))
    return replace(clip, **left_out)


def moments(clip: FaceClip) -> Iterator[FaceClip]:
    """Clips of one crop each, that share mouth and sound; of native crops whole blocks."""
    for i in range(len(clip.crops)):
        yield replace(
            clip,
            crops=clip.crops[i : i + 1],
            landmarks=clip.landmarks[i : i + 1],
            times=clip.times[i : i + 1],
            context=None if clip.context is None else clip.context[i : i + 1],
            neighbours=None if clip.neighbours is None else clip.neighbours[i : i + 1],
            native=clip.native and (whole_blocks(clip.native[i]),),
        )


def whole_blocks(crop: NativeCrop) -> NativeCrop:
    """A native crop without the rest of a block at the frame's right and lower edge: a mirror then keeps the grid."""
    height, width = (side // GRID * GRID for side in crop.pixels.shape[:2])
    return replace(crop, pixels=np.ascontiguousarray(crop.pixels[:height, :width]))


def key_of(name: str, number: int, face: int = 0) -> str:
    """A name for a sample: readable, unique through a checksum of the file's whole name, without a dot."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", name.rsplit("/", 1)[-1].rsplit(".", 1)[0])[:40]
    return f"{stem}-{hashlib.sha256(name.encode()).hexdigest()[:8]}-{number:06d}-{face}"


def row_of(video: Video, time: float = 0.0, rate: float | None = None, face: int = 0) -> Row:
    """The row of a sample before it is stored: what is known of its video, and which moment and face it shows."""
    frame = round(time * rate) if rate else 0
    return Row(
        key=key_of(video.name, frame, face),
        label=video.label,
        method=video.method,
        split=video.split,
        group=video.group,
        source=video.dataset,
        video=video.name,
        chunk=video.chunk,
        original=video.original,
        frame=frame,
        time=time,
        face=face,
    )
