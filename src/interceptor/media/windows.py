"""Face clips cut from a file: a window of it with every frame read, the faces followed, all that lenses look at kept.

One forward pass. In memory are, for each face and frame of the window, an aligned crop (0.15 MB), and three whole
frames for each moment that is kept; nothing grows with the length of the file.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace

import cv2
import numpy as np

from interceptor.media.clips import FaceClip, Mouth, Sound
from interceptor.media.crops import CONTEXT_SCALE, CONTEXT_SIZE, TEMPLATE, cut, similarity
from interceptor.media.errors import MediaError
from interceptor.media.faces import FaceDetector
from interceptor.media.frames import FrameReader
from interceptor.media.native import grid_phase, native_crop
from interceptor.media.probe import MediaInfo
from interceptor.media.sound import read_sound
from interceptor.media.tracks import FaceCrop, FaceTrack, FaceTracker

SECONDS = 2.6
"""Length of a window: what the audio-visual lens shows."""
EVERY = 5
"""Faces are detected on every fifth frame of a window; at 25 frames a second that is as far as flow carries surely."""
SOUND_MARGIN = 1.0
"""Seconds of sound kept on both sides of a window, so that a shift of the sound need not be padded."""
MIN_CONTEXT = 0.3
"""A context crop must show at least this share of frame; the rest is a repeated border, which says nothing. The crop
itself is 0.16 of it: at 0.3 there is as much around the face, as in a portrait cut like those of FFHQ."""
MOUTH_SIZE = (96, 64)
MOUTH_SCALE = 0.6
"""Width of the mouth's cut as a share of the crop's side; it reaches from below the nose to the chin."""
MOUTH_CENTER = (0.51, 0.73)
STEADYING = 0.08
"""Seconds (standard deviation) over which eyes and nose are smoothed: their jitter would look like speech."""


class WindowReader(FrameReader):
    """Reads every frame shown from `start` for `seconds`, and never more than the file has; see `FrameReader`.

    At a variable frame rate it asks for the frame on display at each 1 / `info.frame_rate`.
    """

    def __init__(
        self, path: str | os.PathLike[str], info: MediaInfo, start: float, seconds: float, threads: int | None = None
    ) -> None:
        self._rate = info.frame_rate or 25.0
        super().__init__(path, info, max(1, round(seconds * self._rate)), threads)
        latest = (info.frames or round((info.duration or 0) * self._rate)) - self.requested
        self._first = max(0, min(round(start * self._rate), latest))

    def _moments(self, length: float) -> list[float]:
        return [(self._first + sample + 0.5) / self._rate for sample in range(self.requested)]

    def _numbers(self, total: int) -> list[int]:
        return [self._first + sample for sample in range(self.requested)]


@dataclass(frozen=True)
class Window:
    """The faces of one window."""

    clips: list[FaceClip]
    """the most visible face first"""
    failures: Counter[str]
    """what could not be read or followed, by cause: those of `FrameReader` and `FaceTracker`, and
    `undecodable_sound`"""


def cut_window(
    path: str | os.PathLike[str],
    info: MediaInfo,
    detector: FaceDetector,
    *,
    at: float | None = None,
    seconds: float = SECONDS,
    crops: int = 4,
    max_faces: int = 4,
) -> Window:
    """Face clips of `crops` moments each (fewer where the face was lost) from `seconds` around `at`.

    `at` is in seconds from the start, the file's middle by default; the window is moved to lie inside the file. A
    picture gives clips of one crop, without neighbours, mouth or sound. Raises `MediaError` as `FrameReader` does.
    """
    length = info.duration or 0.0
    start = max(0.0, min((length / 2 if at is None else at) - seconds / 2, length - seconds))
    still = info.kind == "picture"
    reader = FrameReader(path, info, 1) if still else WindowReader(path, info, start, seconds)
    tracker = FaceTracker(detector, every=EVERY, max_faces=max_faces)
    wanted = _wanted(reader.requested, crops)
    near = {index + step for index in wanted for step in (-1, 0, 1)}
    frames: dict[int, np.ndarray] = {}
    for order, frame in enumerate(reader):  # counted as they come: at a variable frame rate some samples do not
        tracker.feed(replace(frame, index=order))
        if order in near:
            frames[order] = frame.rgb
    tracks = tracker.finish()
    failures = Counter(reader.failures) + Counter(tracker.failures)
    del failures["repeated_frame"]  # at a variable frame rate: a frame that was given already
    sound = None
    if info.audio and tracks:
        first = min(track.crops[0].time for track in tracks)
        last = max(track.crops[-1].time for track in tracks)
        try:
            sound = read_sound(path, first - SOUND_MARGIN, last + SOUND_MARGIN)
        except MediaError:
            failures["undecodable_sound"] += 1
    clips = [_clip(track, wanted, frames, info, sound) for track in tracks]
    return Window([clip for clip in clips if clip is not None], failures)


def _wanted(frames: int, count: int) -> list[int]:
    """Which of the window's frames become crops: some that have a detection of their own and frames on both sides."""
    inner = list(range(EVERY, frames - 1, EVERY)) or list(range(1, frames - 1)) or [0]
    count = min(count, len(inner))
    return [inner[int((i + 0.5) * len(inner) / count)] for i in range(count)]


def _clip(
    track: FaceTrack, wanted: list[int], frames: dict[int, np.ndarray], info: MediaInfo, sound: Sound | None
) -> FaceClip | None:
    chosen = [crop for crop in track.crops if crop.frame in wanted]
    complete = [crop for crop in chosen if {crop.frame - 1, crop.frame + 1} <= frames.keys()]
    chosen = complete or chosen
    if not chosen:
        return None
    phase = grid_phase(info)
    whole = min(inside(crop.landmarks, info) for crop in chosen) >= MIN_CONTEXT
    moving = len(track.crops) > 1
    return FaceClip(
        crops=np.stack([crop.image for crop in chosen]),
        landmarks=np.stack([moved(crop.landmarks, similarity(crop.landmarks)) for crop in chosen]),
        times=np.array([crop.time for crop in chosen]),
        context=np.stack([_context(crop, frames) for crop in chosen]) if whole else None,
        native=tuple(native_crop(frames[crop.frame], crop.landmarks, phase) for crop in chosen),
        neighbours=np.stack([_neighbours(crop, frames) for crop in chosen]) if complete else None,
        mouth=cut_mouth(track.crops) if moving else None,
        sound=sound if moving else None,
    )


def _context(crop: FaceCrop, frames: dict[int, np.ndarray]) -> np.ndarray:
    """uint8[320, 320, 3]"""
    return cut(frames[crop.frame], crop.landmarks, CONTEXT_SIZE, CONTEXT_SCALE)


def _neighbours(crop: FaceCrop, frames: dict[int, np.ndarray]) -> np.ndarray:
    """uint8[2, 224, 224, 3]"""
    return np.stack([cut(frames[crop.frame + step], crop.landmarks) for step in (-1, 1)])


def cut_mouth(crops: list[FaceCrop]) -> Mouth:
    """The mouth on each crop of a track, held still by the eyes and the nose alone."""
    times = np.array([crop.time for crop in crops])
    steady = _smoothed(np.stack([crop.landmarks[:3] for crop in crops]).astype(np.float64), times)
    width, height = MOUTH_SIZE
    scale = width / MOUTH_SCALE
    place = np.array(
        [[scale, 0, width / 2 - MOUTH_CENTER[0] * scale], [0, scale, height / 2 - MOUTH_CENTER[1] * scale]]
    )
    frames = np.empty((len(crops), height, width), np.uint8)
    for number, (crop, upper) in enumerate(zip(crops, steady, strict=True)):
        # From the aligned crop's pixels to the frame's, to the template's unit square by eyes and nose, to the cut's.
        back = np.linalg.inv(np.vstack([similarity(crop.landmarks), [0, 0, 1]]))
        matrix = place @ np.vstack([_upper_similarity(upper), [0, 0, 1]]) @ back
        matrix[:, 2] += (matrix[:, :2].sum(1) - 1) / 2  # OpenCV puts pixel centres at whole numbers
        grey = cv2.cvtColor(crop.image, cv2.COLOR_RGB2GRAY)
        frames[number] = cv2.warpAffine(
            grey, matrix, MOUTH_SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    return Mouth(frames, times)


def _upper_similarity(points: np.ndarray) -> np.ndarray:
    """float64[2, 3] from eyes and nose [3, 2] to their places in the template, as fractions of the crop's side."""
    source, target = points @ [1, 1j], TEMPLATE[:3].astype(np.float64) @ [1, 1j]
    centred = source - source.mean()
    a = np.sum(np.conj(centred) * target) / np.sum(np.abs(centred) ** 2)
    b = target.mean() - a * source.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def _smoothed(points: np.ndarray, times: np.ndarray) -> np.ndarray:
    """float64[t, ...] smoothed over time by a Gaussian of `STEADYING`, as a local line so that even motion stays."""
    offsets = times[None] - times[:, None]
    weights = np.exp(-0.5 * (offsets / STEADYING) ** 2)
    s0, s1, s2 = (np.sum(weights * offsets**power, 1, keepdims=True) for power in range(3))
    spread = s0 * s2 - s1**2
    linear = np.where(spread > 1e-9, (s2 - s1 * offsets) / np.where(spread > 1e-9, spread, 1), 1 / s0)
    return np.einsum("ij,j...->i...", weights * linear, points)


def inside(landmarks: np.ndarray, info: MediaInfo) -> float:
    """Share of a face's context crop that shows the frame, 0..1. `landmarks` [5, 2] in pixels of the frame."""
    back = np.linalg.inv(np.vstack([similarity(landmarks, CONTEXT_SIZE, CONTEXT_SCALE), [0, 0, 1]]))
    axis = (np.arange(32) + 0.5) * CONTEXT_SIZE / 32
    grid = np.stack([*np.meshgrid(axis, axis), np.ones((32, 32))], -1) @ back[:2].T
    return float(((grid >= 0) & (grid < [info.width, info.height])).all(-1).mean())


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points [n, 2] by a matrix [2, 3], float32."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
