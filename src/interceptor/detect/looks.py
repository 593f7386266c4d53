"""What the standard specialists look at in a scan, and what they say of each face."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from interceptor.detect.ensemble import SPECIALISTS, Abstention, Prediction
from interceptor.detect.result import Sight
from interceptor.detect.router import NOT_ASKED, Choice
from interceptor.detect.specialists import Specialists
from interceptor.lenses import LENSES, Abstain
from interceptor.media.clips import FaceClip
from interceptor.media.crops import similarity
from interceptor.media.faces import FaceDetector
from interceptor.media.motion import Motion, read_motion
from interceptor.media.probe import MediaInfo
from interceptor.media.tracks import FaceCrop, FaceTrack
from interceptor.media.windows import MIN_CONTEXT, SECONDS, inside, moved

MOVING = frozenset(code for code, lens in LENSES.items() if {"neighbours", "mouth", "sound"} & set(lens.views))
"""Specialists that look at motion: they see a window of the file that is read whole."""


@dataclass
class Views:
    """What lenses have to look at: of each face, by `FaceTrack.id`, one clip for each of its crops."""

    moments: dict[int, list[FaceClip]]
    window: tuple[float, float] | None = None
    """seconds from which and to which motion was read"""
    failures: Counter[str] = field(default_factory=Counter)


def gather(
    path: str | os.PathLike[str],
    info: MediaInfo,
    detector: FaceDetector,
    tracks: Sequence[FaceTrack],
    chosen: Sequence[Sequence[FaceCrop]],
    codes: frozenset[str],
) -> Views:
    """The views of `chosen`, some crops of each of `tracks`, for the lenses `codes`.

    Crops, context and native crops were kept when the file was read. For `MOVING` ones a window is read a second time,
    whole (see `media.motion`): where the most faces are in view, and of such places the one nearest to the middle.
    """
    motion = None
    at = _busiest([[crop.time for crop in crops] for crops in chosen])
    if at is None:
        return Views({})
    views = {view for code in codes for view in LENSES[code].views}
    heard = bool(views & {"mouth", "sound"})
    if info.kind != "picture" and ("neighbours" in views or (heard and info.audio)):
        motion = read_motion(path, info, detector, tracks, chosen, at, speech=heard)
    moments = {
        track.id: [_moment(crop, track.id, info, motion) for crop in crops]
        for track, crops in zip(tracks, chosen, strict=True)
    }
    if motion is None:
        return Views(moments)
    return Views(moments, (motion.start, motion.end), motion.failures)


def _busiest(times: Sequence[Sequence[float]]) -> float | None:
    """The moment, of those at which faces were seen, with the most faces within half a window of it."""
    every = sorted(time for face in times for time in face)
    if not every:
        return None
    middle = (every[0] + every[-1]) / 2

    def faces(at: float) -> int:
        return sum(any(abs(time - at) <= SECONDS / 2 for time in face) for face in times)

    return max(every, key=lambda at: (faces(at), -abs(at - middle)))


def _moment(crop: FaceCrop, face: int, info: MediaInfo, motion: Motion | None) -> FaceClip:
    neighbours = None if motion is None else motion.neighbours.get((face, crop.frame))
    in_window = motion is not None and motion.start <= crop.time <= motion.end
    return FaceClip(
        crops=crop.image[None],
        landmarks=moved(crop.landmarks, similarity(crop.landmarks))[None],
        times=np.array([crop.time]),
        context=None if crop.context is None or inside(crop.landmarks, info) < MIN_CONTEXT else crop.context[None],
        native=None if crop.native is None else (crop.native,),
        neighbours=None if neighbours is None else neighbours[None],
        mouth=motion.mouths.get(face) if motion is not None and in_window else None,
        sound=motion.sound if motion is not None else None,
    )


class Looks:
    """The standard specialists asked for, loaded once. `errors` names files that are damaged, with their checksums."""

    def __init__(self, choice: Choice, folder: Path) -> None:
        asked = frozenset(SPECIALISTS) if choice is None else choice
        self._specialists = Specialists([code for code in SPECIALISTS if code in asked], folder)
        self.codes = frozenset(self._specialists.members)
        self.errors = self._specialists.damaged
        self.files = [name for member in self._specialists.members.values() for name in member.card["files"]]

    def __call__(
        self, moments: Sequence[FaceClip], tokens: np.ndarray, window: tuple[float, float] | None
    ) -> tuple[dict[str, Prediction], dict[str, Sight]]:
        """What each says of one face, by its moments and the base's tokens of them, and what it saw."""
        said: dict[str, Prediction] = {code: Abstention(reason=NOT_ASKED) for code in SPECIALISTS}
        said |= self._specialists.absent
        sights: dict[str, Sight] = {}
        for code, member in self._specialists.members.items():
            try:
                look = member.look(moments, tokens)
            except Abstain as blind:
                said[code] = Abstention(reason=_why(code, blind.reason, moments, window))
                continue
            said[code], sights[code] = look.log_odds, look.sight(moments)
        return said, sights


def _why(code: str, reason: str, moments: Sequence[FaceClip], window: tuple[float, float] | None) -> str:
    """An abstention's reason, or that the face was not in view in the part of the file that is read for motion."""
    unseen = window is not None and not any(window[0] <= moment.times[0] <= window[1] for moment in moments)
    if code in MOVING and window is not None and unseen:
        return f"the face was not in view from {window[0]:.1f} s to {window[1]:.1f} s, where motion was looked at"
    return reason
