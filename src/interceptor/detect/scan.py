"""A scan: one file in, one verdict with its evidence out."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import Counter
from pathlib import Path

import numpy as np

from interceptor import __version__
from interceptor.detect.detector import load_detector
from interceptor.detect.picture import PictureScanner
from interceptor.detect.result import (
    Coverage,
    CropScore,
    Evidence,
    FaceResult,
    Media,
    Problem,
    ScanResult,
    Timings,
    Verdict,
    Versions,
)
from interceptor.detect.screen import Screen
from interceptor.media import FrameReader, MediaError, MediaInfo, probe
from interceptor.media.container import read_head
from interceptor.media.faces import FaceDetector
from interceptor.media.tracks import FaceCrop, FaceTrack, FaceTracker
from interceptor.runtime import weights

logger = logging.getLogger(__name__)

CROPS_PER_FACE = 16
FEWEST_CROPS = 3
"""A face seen on fewer sampled frames of a video does not decide, unless the file shows nothing better."""


def find_faces(
    path: Path, info: MediaInfo, detector: FaceDetector, frames: int
) -> tuple[list[FaceTrack], FrameReader, FaceTracker]:
    """Read a file once and follow its faces. Raises `MediaError` where nothing can be read."""
    reader = FrameReader(path, info, frames)
    tracker = FaceTracker(detector)
    for frame in reader:
        tracker.feed(frame)
    return tracker.finish(), reader, tracker


def spread(crops: list[FaceCrop], count: int) -> list[FaceCrop]:
    """At most `count` crops, evenly over the track, those the detector saw itself before those carried between."""
    if len(crops) <= count:
        return crops
    seen = [crop for crop in crops if crop.detected]
    if len(seen) < count:
        carried = [crop for crop in crops if not crop.detected]
        seen += [carried[i] for i in _even(len(carried), count - len(seen))]
        return sorted(seen, key=lambda crop: crop.frame)
    return [seen[i] for i in _even(len(seen), count)]


def _even(length: int, count: int) -> list[int]:
    return [int((i + 0.5) * length / count) for i in range(count)]


class Scanner:
    """Everything a scan needs, loaded once; then `scan` one file after another.

    frames: how many are sampled over a file's length. fpr: the stated false-alarm rate behind the verdicts. evidence:
    keep crops and heat maps in the results, for a report. Raises `WeightError` (a damaged installation) or
    `ValueError` (a rate the card's thresholds do not reach).
    """

    def __init__(
        self, *, frames: int = 32, fpr: float = 0.05, evidence: bool = False, folder: Path = weights.FOLDER
    ) -> None:
        start = time.perf_counter()
        if frames < 1:
            raise ValueError(f"frames must be at least 1, not {frames}")
        self.frames, self.evidence = frames, evidence
        self._detector = load_detector(folder)
        self.screen = Screen(folder, fpr=fpr)
        self._pictures = PictureScanner(folder, evidence=evidence)
        files = {*self.screen.card["files"], *self._pictures.files, "centerface.onnx"}
        self._versions = Versions(
            interceptor=__version__, weights={name: weights.sha256(folder / name) for name in sorted(files)}
        )
        self.load_seconds = time.perf_counter() - start

    def scan(self, path: str | Path) -> ScanResult:
        """The verdict on one file. What is wrong with the file is told in the result (`errors`), never raised.

        Nor does a fault of this program end the scan of other files: it is told there as `internal_error`, and its
        traceback is logged.
        """
        path = Path(path)
        start = time.perf_counter()
        digest: str | None = None
        try:
            if path.is_dir():
                next(path.iterdir(), None)  # raises where it cannot be listed; `read_head` refuses any folder
            read_head(path)  # before the checksum, which must not wait for a pipe or a device
            digest = weights.sha256_of_file(path)
            return self._scan(path, digest, start)
        except MediaError as error:
            return self._failed(path, digest, error.cause, str(error))
        except OSError as error:
            return self._failed(path, digest, "unreadable", f"{path}: cannot be read: {error.strerror or error}")
        except Exception as error:
            logger.exception("%a: internal error", str(path))
            message = f"{path}: internal error, please report it: {type(error).__name__}: {error}"
            return self._failed(path, digest, "internal_error", message)

    def _scan(self, path: Path, digest: str, start: float) -> ScanResult:
        opened = time.perf_counter()
        info = probe(path)
        tracks, reader, tracker = find_faces(path, info, self._detector, self.frames)
        found = time.perf_counter()
        chosen = [spread(track.crops, CROPS_PER_FACE) for track in tracks]
        crops = [crop.image for picks in chosen for crop in picks]
        logits, heat = self.screen(np.stack(crops) if crops else np.empty((0,)))
        if not np.isfinite(logits).all():
            raise FloatingPointError("the screen gave a score that is not a number")
        done = time.perf_counter()
        picture, picture_evidence = (None, None) if reader.still is None else self._pictures(path, reader.still)
        matched = time.perf_counter()

        fewest = min(FEWEST_CROPS, max((len(track.crops) for track in tracks), default=0))
        deciding = sum(len(track.crops) >= fewest for track in tracks)
        faces, evidence, begin = [], {}, 0
        for track, picks in zip(tracks, chosen, strict=True):
            own = slice(begin, begin + len(picks))
            begin = own.stop
            faces.append(self._face(track, picks, logits[own], deciding, fewest))
            if self.evidence:
                evidence[track.id] = Evidence(np.stack([crop.image for crop in picks]), heat[own])
        coverage = Coverage(
            frames_requested=reader.requested,
            frames_decoded=reader.decoded,
            frames_with_face=tracker.frames_with_face,
            faces=len(tracks),
            faces_scored=len(faces),
            crops_scored=len(crops),
            failures=dict(Counter(reader.failures) + Counter(tracker.failures)),
        )
        verdict, probability, reason = self._file_verdict(faces, fewest, coverage)
        if picture is not None:
            verdict, probability, reason = self._pictures.join(picture, verdict, probability, reason)
        low, high = self.screen.probability(np.array(self.screen.thresholds(deciding)))
        return ScanResult(
            path=str(path),
            sha256=digest,
            verdict=verdict,
            probability=probability,
            threshold=float(high),
            authentic_threshold=float(low),
            fpr=self.screen.fpr,
            reason=reason,
            coverage=coverage,
            faces=faces,
            picture=picture,
            media=Media(**dataclasses.asdict(info)),
            timings=Timings(
                load=self.load_seconds,
                decode=found - opened - tracker.detect_seconds,
                detect=tracker.detect_seconds,
                classify=done - found,
                match=matched - done if picture is not None else 0.0,
                total=time.perf_counter() - start,
            ),
            errors=[],
            versions=self._versions,
            evidence=evidence,
            picture_evidence=picture_evidence,
        )

    def _face(
        self, track: FaceTrack, picks: list[FaceCrop], logits: np.ndarray, deciding: int, fewest: int
    ) -> FaceResult:
        logit = float(np.mean(logits))
        probabilities = self.screen.probability(logits)
        verdict = self.screen.verdict(logit, deciding)
        seen = len(track.crops)
        reason = f"mean of {len(picks)} crop{'s' if len(picks) > 1 else ''}"
        if seen < fewest:
            verdict, reason = "inconclusive", f"seen on {seen} sampled frame{'s' if seen > 1 else ''} only"
        return FaceResult(
            id=track.id,
            verdict=verdict,
            probability=float(self.screen.probability(logit)),
            logit=logit,
            first=track.crops[0].time,
            last=track.crops[-1].time,
            frames=seen,
            size=float(np.median([crop.side for crop in track.crops])),
            crops=[
                CropScore(
                    time=crop.time,
                    frame=crop.frame,
                    box=(float(crop.box[0]), float(crop.box[1]), float(crop.box[2]), float(crop.box[3])),
                    logit=float(value),
                    probability=float(probability),
                )
                for crop, value, probability in zip(picks, logits, probabilities, strict=True)
            ],
            reason=reason,
        )

    def _file_verdict(
        self, faces: list[FaceResult], fewest: int, coverage: Coverage
    ) -> tuple[Verdict, float | None, str]:
        """The worst face decides: verdict, probability, and why in a sentence."""
        if not faces:
            small = coverage.failures.get("face_too_small")
            why = f"{small} found, but too small to judge" if small else "none was found"
            frames = f"{coverage.frames_decoded} sampled frame{'s' if coverage.frames_decoded > 1 else ''}"
            return "no_face", None, f"No usable face on {frames}: {why}."
        deciding = [face for face in faces if face.frames >= fewest]
        worst = max(deciding, key=lambda face: face.probability or 0.0)
        who = "The face" if len(deciding) == 1 else f"The most suspicious of {len(deciding)} faces (face {worst.id})"
        rate = f"{self.screen.fpr:.1%}".replace(".0%", "%")
        what = {
            "forged": f"scores above the threshold that at most {rate} of authentic files are meant to reach",
            "authentic": "scores as low as authentic faces do and forged ones rarely do",
            "inconclusive": "scores between the two thresholds: this tool cannot tell",
        }[worst.verdict]
        return worst.verdict, worst.probability, f"{who} {what}."

    def _failed(self, path: Path, digest: str | None, cause: str, message: str) -> ScanResult:
        return ScanResult(
            path=str(path),
            sha256=digest,
            verdict="error",
            probability=None,
            threshold=None,
            authentic_threshold=None,
            fpr=self.screen.fpr,
            reason=message,
            coverage=None,
            faces=[],
            picture=None,
            media=None,
            timings=None,
            errors=[Problem(cause=cause, message=message)],
            versions=self._versions,
        )
