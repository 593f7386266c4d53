"""From scored crops to the verdict on a face, and from faces to the verdict on a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from interceptor.detect.decision import Decision
from interceptor.detect.panel import Answer
from interceptor.detect.result import Coverage, CropScore, FaceResult, Verdict
from interceptor.media.tracks import FaceCrop, FaceTrack

CROPS_PER_FACE = 16
FEWEST_CROPS = 3
"""A face seen on fewer sampled frames of a video does not decide, unless the file shows nothing better."""


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


def fewest_frames(tracks: Sequence[FaceTrack]) -> int:
    """Sampled frames on which a face of this file must be seen to decide."""
    return min(FEWEST_CROPS, max((len(track.crops) for track in tracks), default=0))


def judge_face(
    track: FaceTrack,
    picks: Sequence[FaceCrop],
    logits: np.ndarray,
    answer: Answer,
    *,
    network: Decision,
    decision: Decision,
    deciding: int,
    fewest: int,
) -> FaceResult:
    """The result of one face.

    `picks` are its scored crops and `logits` float32[n] their scores by `network`; `answer` is on the scale of
    `decision`, which gives the verdict. `deciding` faces of the file have been seen on at least `fewest` frames.
    """
    seen = len(track.crops)
    reason = f"mean of {len(picks)} crop{'s' if len(picks) > 1 else ''}"
    verdict: Literal["forged", "authentic", "inconclusive"] = "inconclusive"
    if seen < fewest:
        reason = f"seen on {seen} sampled frame{'s' if seen > 1 else ''} only"
    elif answer.score is None:
        reason = "none of the members that count saw anything"
    else:
        verdict = decision.verdict(answer.score, deciding)
    if answer.voters:
        reason += f", weighed with {answer.voters} specialist{'s' if answer.voters > 1 else ''}"
    probabilities = network.probability(logits)
    return FaceResult(
        id=track.id,
        verdict=verdict,
        probability=None if answer.score is None else float(decision.probability(answer.score)),
        logit=float(np.mean(logits)),
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
        screen=answer.screen,
        specialists=answer.specialists,
        full=answer.full,
    )


def deciding_face(faces: Sequence[FaceResult], fewest: int) -> FaceResult | None:
    """The most suspicious of the faces seen on at least `fewest` sampled frames; None where there is no face."""
    return max(
        (face for face in faces if face.frames >= fewest),
        key=lambda face: -1.0 if face.probability is None else face.probability,
        default=None,
    )


def judge_file(
    faces: Sequence[FaceResult], fewest: int, coverage: Coverage, fpr: float | None
) -> tuple[Verdict, float | None, str]:
    """The worst face decides: verdict, probability, and why in a sentence.

    `fpr` is the false-alarm rate that the thresholds keep; None where that was not measured for who decides.
    """
    worst = deciding_face(faces, fewest)
    if worst is None:
        small = coverage.failures.get("face_too_small")
        why = f"{small} found, but too small to judge" if small else "none was found"
        frames = f"{coverage.frames_decoded} sampled frame{'s' if coverage.frames_decoded > 1 else ''}"
        return "no_face", None, f"No usable face on {frames}: {why}."
    deciding = sum(face.frames >= fewest for face in faces)
    who = "The face" if deciding == 1 else f"The most suspicious of {deciding} faces (face {worst.id})"
    unsure = "scores between the two thresholds: this tool cannot tell"
    if fpr is None:
        unknown = "; how often that is wrong was not measured for this mixture of networks"
        above, below = (f"scores {side} the standard tier's threshold{unknown}" for side in ("above", "below"))
    else:
        rate = f"{fpr:.1%}".replace(".0%", "%")
        above = f"scores above the threshold that at most {rate} of authentic files are meant to reach"
        below = "scores as low as authentic faces do and forged ones rarely do"
    what = {"forged": above, "authentic": below, "inconclusive": unsure}[worst.verdict]
    if worst.probability is None:
        what = "has no score: no member that counts saw anything"
    return worst.verdict, worst.probability, f"{who} {what}."
