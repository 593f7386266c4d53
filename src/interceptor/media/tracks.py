"""Faces followed through the sampled frames of a file, and their crops.

Faces are detected on every k-th frame and joined to tracks by place, size and colours. To the frames between two
detections of one track they are carried by optical flow from both sides; where the two sides disagree, nothing is
guessed. Crops are cut as soon as the faces of a frame are known: no more than the frames since the last detection are
held.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np

from interceptor.media.clips import NativeCrop
from interceptor.media.crops import CONTEXT_SCALE, CONTEXT_SIZE, MIN_FACE, crop_side, cut, similarity
from interceptor.media.faces import Face, FaceDetector
from interceptor.media.frames import Frame
from interceptor.media.native import native_crop

MAX_MOVE = 2.0
"""Farthest a face may move between two detections, in sides of its crop."""
MAX_GROWTH = 1.0
"""Most it may grow (or shrink back) between two detections, as a share of the smaller size."""
MIN_LIKENESS = 0.7
"""Lowest likeness (0..1, of colours) of one person's face at two detections. Within a clip 99 % have more than 0.9,
between two clips 95 % less than 0.7 (`docs/faces.md`)."""
LIKENESS_WEIGHT = 4.0
"""How many sides of movement a likeness of 0 weighs as much as."""
CERTAIN = 0.6
"""The detector must be this sure of a face (0..1) to begin a track; less is enough to go on with one."""
PATIENCE = 2
"""Detections in a row in which a face may be missed before its track ends."""
MAX_DISAGREEMENT = 0.08
"""Largest distance between landmarks carried from before and from after, in sides of the crop."""

_FLOW_SIZE = 160
"""Flow is found on context crops of this side: half of what lenses get is as accurate and costs a third."""
_GRID = np.stack(np.meshgrid(np.linspace(-0.32, 0.32, 8), np.linspace(-0.24, 0.4, 8)), -1).reshape(-1, 1, 2)
_FLOW_POINTS = ((0.5 + _GRID / CONTEXT_SCALE) * _FLOW_SIZE).astype(np.float32)
"""Points on the face in such a crop, from brows to chin, whose movement carries the landmarks."""
_SAMPLES = 80
"""Colours around a face are counted on so many rows and columns."""


@dataclass
class FaceCrop:
    """One face on one frame."""

    frame: int
    """index among the sampled frames"""
    time: float
    """seconds from the start"""
    box: np.ndarray
    """float32[4]: left, top, right, bottom in pixels of the frame"""
    landmarks: np.ndarray
    """float32[5, 2], pixels of the frame, in the order of `Face.landmarks`"""
    score: float
    """the detector's confidence, 0..1; that of the less sure neighbour where the face was carried"""
    detected: bool
    """found by the detector on this frame, not carried to it"""
    image: np.ndarray
    """uint8[CROP_SIZE, CROP_SIZE, 3] RGB, aligned to the template"""
    colours: tuple[np.ndarray, np.ndarray]
    """of the face and of its surroundings, see `likeness`"""
    side: float
    """side of the crop in pixels of the frame"""
    context: np.ndarray | None = None
    """uint8[CONTEXT_SIZE, CONTEXT_SIZE, 3] RGB, `CONTEXT_SCALE` times as wide; None unless the tracker was asked"""
    native: NativeCrop | None = None
    """the frame's own pixels; None unless the tracker was asked for them, and where the face was carried"""


@dataclass
class FaceTrack:
    """One person's face, in time order."""

    id: int
    crops: list[FaceCrop]


@dataclass
class _OpenTrack:
    """A track that may go on; its last crop is always a detected one."""

    crops: list[FaceCrop]
    view: np.ndarray
    """uint8[_FLOW_SIZE, _FLOW_SIZE], grey: the last crop with its surroundings, where flow starts"""
    missed: int = 0


_Side = tuple[FaceCrop, np.ndarray]
"""A detected crop and its view, as `_OpenTrack` has it."""


class FaceTracker:
    """Feed it the frames of one file in time order, then `finish()`.

    It detects on the first frame, on each `every`-th after it and on the last one, and carries faces to those
    between. A face seen on one side of a gap only is not carried into it. At most the `max_faces` largest faces of a
    frame are followed, and none whose crop would be smaller than `min_face` pixels of the frame. Where `grid` says on
    which pixels the codec's grid begins (`native.grid_phase`), detected faces come with a native crop: up to a few
    megabytes each, so not on every frame. `context` adds the context crop, which takes longer than all else.

    `failures` counts faces by cause: `face_too_small`, `too_many_faces`, `face_uncertain` (all on frames with
    detection) and `face_not_followed` (between detections). `frames_with_face` counts frames with at least one crop,
    `detect_seconds` is the wall time spent on detecting, following and cutting.
    """

    def __init__(
        self,
        detector: FaceDetector,
        *,
        every: int = 2,
        max_faces: int = 16,
        min_face: float = MIN_FACE,
        grid: tuple[int, int] | None = None,
        context: bool = False,
    ) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1, not {every}")
        self.failures: Counter[str] = Counter()
        self.frames_with_face = 0
        self.detect_seconds = 0.0
        self._detector = detector
        self._every = every
        self._max_faces = max_faces
        self._min_face = min_face
        self._grid = grid
        self._context = context
        self._pending: list[Frame] = []
        self._fed = 0
        self._open: list[_OpenTrack] = []
        self._closed: list[_OpenTrack] = []

    def feed(self, frame: Frame) -> None:
        """Take the next frame."""
        start = time.perf_counter()
        self._pending.append(frame)
        if self._fed % self._every == 0:
            self._detect()
        self._fed += 1
        self.detect_seconds += time.perf_counter() - start

    def finish(self) -> list[FaceTrack]:
        """All tracks, the most visible (longest and largest) first, numbered from 0."""
        start = time.perf_counter()
        if self._pending:
            self._detect()
        tracks = [track.crops for track in self._closed + self._open]
        tracks.sort(key=lambda crops: sum(crop.side for crop in crops), reverse=True)
        self.detect_seconds += time.perf_counter() - start
        return [FaceTrack(number, crops) for number, crops in enumerate(tracks)]

    def _detect(self) -> None:
        """Find faces on the last pending frame, join them to tracks, and carry those joined to the frames before it."""
        *between, frame = self._pending
        self._pending = []
        crops = [self._cut(frame, face.box, face.landmarks, face.score, True) for face in self._usable(frame.rgb)]
        greys = [cv2.cvtColor(shown.rgb, cv2.COLOR_RGB2GRAY) for shown in (*between, frame)] if crops else []
        views = [cut(greys[-1], crop.landmarks, _FLOW_SIZE, CONTEXT_SCALE) for crop in crops]
        pairs = _pairs([track.crops[-1] for track in self._open], crops)
        seen: set[int] = set()
        for track_index, crop_index in pairs:
            track, crop = self._open[track_index], crops[crop_index]
            sides = (track.crops[-1], track.view), (crop, views[crop_index])
            added = [] if track.missed else self._carry(*sides, list(zip(between, greys, strict=False)))
            track.crops += [*added, crop]
            track.view = views[crop_index]
            track.missed = -1
            seen.update(crop.frame for crop in [*added, crop])
        for track in self._open:
            track.missed += 1
        self._closed += [track for track in self._open if track.missed > PATIENCE]
        self._open = [track for track in self._open if track.missed <= PATIENCE]
        known = {crop_index for _, crop_index in pairs}
        new = [(crop, view) for index, (crop, view) in enumerate(zip(crops, views, strict=True)) if index not in known]
        begun = [_OpenTrack([crop], view) for crop, view in new if crop.score >= CERTAIN]
        self._count("face_uncertain", len(new) - len(begun))
        self._open += begun
        self.frames_with_face += len(seen | {frame.index} if begun else seen)

    def _usable(self, rgb: np.ndarray) -> list[Face]:
        faces = self._detector(rgb)
        large = [face for face in faces if crop_side(face.landmarks) >= self._min_face]
        self._count("face_too_small", len(faces) - len(large))
        self._count("too_many_faces", len(large) - self._max_faces)
        return large[: self._max_faces]

    def _carry(self, before: _Side, after: _Side, between: list[tuple[Frame, np.ndarray]]) -> list[FaceCrop]:
        """Crops of a face detected on both sides of the frames `between` (with the same in grey), where both sides
        agree on where it is.
        """
        carried = []
        first, last = before[0], after[0]
        for frame, grey in between:
            forward, backward = _follow(*before, grey), _follow(*after, grey)
            if forward is None or backward is None:
                continue
            if _distance(forward[1], backward[1]) > MAX_DISAGREEMENT * min(first.side, last.side):
                continue
            box, landmarks = (forward[0] + backward[0]) / 2, (forward[1] + backward[1]) / 2
            crop = self._cut(frame, box, landmarks, min(first.score, last.score), False)
            # Flow also finds no motion where there is no face at all.
            if min(likeness(crop, first), likeness(crop, last)) >= MIN_LIKENESS:
                carried.append(crop)
        self._count("face_not_followed", len(between) - len(carried))
        return carried

    def _cut(self, frame: Frame, box: np.ndarray, landmarks: np.ndarray, score: float, detected: bool) -> FaceCrop:
        image = cut(frame.rgb, landmarks)
        return FaceCrop(
            frame=frame.index,
            time=frame.time,
            box=box.astype(np.float32),
            landmarks=landmarks.astype(np.float32),
            score=score,
            detected=detected,
            image=image,
            colours=(_colours(image[::4, ::4]), _colours(_surroundings(frame.rgb, landmarks))),
            side=crop_side(landmarks),
            context=cut(frame.rgb, landmarks, CONTEXT_SIZE, CONTEXT_SCALE) if self._context else None,
            native=native_crop(frame.rgb, landmarks, self._grid) if detected and self._grid is not None else None,
        )

    def _count(self, cause: str, count: int) -> None:
        if count > 0:
            self.failures[cause] += count


def _pairs(last: list[FaceCrop], crops: list[FaceCrop]) -> list[tuple[int, int]]:
    """Which last crop of a track goes on with which new one: the cheapest pair first, while it may be one person."""
    costs = []
    for t, old in enumerate(last):
        for c, new in enumerate(crops):
            larger, smaller = max(old.side, new.side), min(old.side, new.side)
            move = _distance(old.landmarks, new.landmarks) / larger
            growth = larger / smaller - 1
            alike = likeness(old, new)
            if move <= MAX_MOVE and growth <= MAX_GROWTH and alike >= MIN_LIKENESS:
                costs.append((move + growth + LIKENESS_WEIGHT * (1 - alike), t, c))
    pairs: list[tuple[int, int]] = []
    for _, t, c in sorted(costs):
        if all(t != pair[0] and c != pair[1] for pair in pairs):
            pairs.append((t, c))
    return pairs


def likeness(a: FaceCrop, b: FaceCrop) -> float:
    """Likeness of the colours of two faces and of their surroundings, 0..1: the mean Bhattacharyya coefficient.

    It tells persons and scenes apart far better than the correlation of pixels does (`docs/faces.md`).
    """
    pairs = list(zip(a.colours, b.colours, strict=True))
    return sum(float(first @ second) for first, second in pairs) / len(pairs)


def _colours(pixels: np.ndarray) -> np.ndarray:
    """float32[512] of unit length: roots of the shares of 8 x 8 x 8 colours in uint8[h, w, 3]."""
    counts = cv2.calcHist([pixels], [0, 1, 2], None, [8] * 3, [0, 256] * 3).ravel()
    return np.sqrt(counts / counts.sum())


def _surroundings(rgb: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """uint8[80, 80, 3]: single pixels of a face and what is around it, not averaged; for counting colours alone."""
    matrix = similarity(landmarks, _SAMPLES, CONTEXT_SCALE)
    return cv2.warpAffine(rgb, matrix, (_SAMPLES, _SAMPLES), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)


def _follow(anchor: FaceCrop, view: np.ndarray, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Box and landmarks of the anchor's face in another frame, uint8[H, W]; None where too few points can be followed.

    Pyramidal Lucas-Kanade flow (Bouguet, 2001) of points on the face, and the similarity that most of them obey.
    """
    patch = cut(grey, anchor.landmarks, _FLOW_SIZE, CONTEXT_SCALE)
    points, found, _ = cv2.calcOpticalFlowPyrLK(view, patch, _FLOW_POINTS, np.empty(0), winSize=(21, 21), maxLevel=3)
    found = found.ravel() == 1
    if found.sum() < len(found) // 2:
        return None
    motion, _ = cv2.estimateAffinePartial2D(_FLOW_POINTS[found], points[found], ransacReprojThreshold=2.0)
    if motion is None:
        return None
    to_patch = np.vstack([similarity(anchor.landmarks, _FLOW_SIZE, CONTEXT_SCALE), [0, 0, 1]])
    in_frame = np.linalg.inv(to_patch) @ np.vstack([motion, [0, 0, 1]]) @ to_patch
    turned, shift = in_frame[:2, :2], in_frame[:2, 2]
    center, half = anchor.box.reshape(2, 2).mean(0), np.diff(anchor.box.reshape(2, 2), axis=0)[0] / 2
    center, half = turned @ center + shift, half * np.hypot(*turned[:, 0])
    return np.concatenate([center - half, center + half]), anchor.landmarks @ turned.T + shift


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    """Mean distance between two sets of landmarks, pixels."""
    return float(np.linalg.norm(a - b, axis=1).mean())
