"""What a scan says: the objects behind the JSON lines, the report and the library call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from interceptor.detect.copymove.result import Match
from interceptor.detect.evidence.maps import EvidenceMap
from interceptor.detect.localize import Localization

Verdict = Literal["forged", "authentic", "inconclusive", "no_face", "error"]
Tier = Literal["fast", "standard", "full"]
Source = Literal["screen", "ensemble", "student", "full"]


class Model(BaseModel):
    """Base of all results: fields are fixed, an unknown one is an error."""

    model_config = ConfigDict(extra="forbid")


class AudioTrack(Model):
    codec: str
    sample_rate: int = Field(description="Hz")
    channels: int
    duration: float | None = Field(description="seconds; null where the container does not say")


class Media(Model):
    """Facts about the file, as probed."""

    kind: Literal["video", "picture", "animation"]
    container: str
    codec: str
    pixel_format: str
    bit_depth: int
    width: int = Field(description="pixels, as displayed (after rotation)")
    height: int = Field(description="pixels, as displayed (after rotation)")
    rotation: int = Field(
        description="degrees clockwise by which stored pixels are turned for display: 0, 90, 180 or 270"
    )
    duration: float | None = Field(description="seconds")
    frames: int | None = Field(description="frames in the file; null where it can only be counted by decoding")
    frame_rate: float | None = Field(description="mean frames per second")
    constant_frame_rate: bool | None
    bit_rate: int | None = Field(description="bits per second of the picture stream, or of the whole file")
    audio: list[AudioTrack]
    size: int = Field(description="bytes")


class Coverage(Model):
    """What the verdict rests on."""

    frames_requested: int
    frames_decoded: int
    frames_with_face: int
    faces: int = Field(description="face tracks found")
    faces_scored: int
    crops_scored: int
    failures: dict[str, int] = Field(description="count by cause: frames that did not decode, faces too small, ...")


class SpecialistScore(Model):
    """One member's part in an answer."""

    probability: float | None = Field(description="its own calibrated probability of forgery, 0..1; null: it abstains")
    weight: float = Field(description="its share of the answer, 0..1; the shares add up to 1 unless all abstain")
    reason: str = Field(description="what its weight rests on, or why it did not run or says nothing")
    saw: str | None = Field(
        default=None, description="what it looked at, e.g. `16 crops from 0.2 s to 9.8 s`; null where it abstained"
    )


class CropScore(Model):
    """One scored face crop."""

    time: float = Field(description="seconds from the start")
    frame: int = Field(description="index among the sampled frames")
    box: tuple[float, float, float, float] = Field(
        description="left, top, right, bottom in pixels of the displayed frame"
    )
    logit: float = Field(description="raw score of the model; above 0 leans forged")
    probability: float = Field(description="calibrated, 0..1")


class FaceResult(Model):
    """One person's face, followed through the file."""

    id: int
    verdict: Literal["forged", "authentic", "inconclusive"]
    probability: float | None = Field(
        description="calibrated probability of forgery, 0..1; null where nothing was scored"
    )
    logit: float | None = Field(description="mean of the crops' logits")
    first: float = Field(description="seconds")
    last: float = Field(description="seconds")
    frames: int = Field(description="sampled frames on which the face was found")
    size: float = Field(description="median side of the crop in source pixels")
    crops: list[CropScore]
    reason: str = Field(description="why the verdict is what it is, in plain words")
    screen: SpecialistScore | None = Field(default=None, description="the screen's part; null in the fast tier")
    specialists: dict[str, SpecialistScore] = Field(default_factory=dict, description="the standard ones, by code")
    full: dict[str, SpecialistScore] = Field(
        default_factory=dict, description="the full ones by code, and why each ran or did not; empty in other tiers"
    )

    @property
    def by_full(self) -> bool:
        """Whether full specialists count in the answer."""
        return any(part.weight > 0 for part in self.full.values())


class CopiedRegion(Model):
    """One of two regions of a picture that show the same."""

    box: tuple[int, int, int, int] = Field(description="left, top, right, bottom in pixels, right and bottom outside")
    area: int = Field(description="pixels")
    panel: int | None = Field(description="which panel of a compound figure, counted from 0; null outside of any")


class CopiedPair(Model):
    """Two regions that show the same. Which is the original the pixels do not tell: `source` is the one further up."""

    source: CopiedRegion
    target: CopiedRegion
    angle: float = Field(description="degrees, -180..180, that the source is turned clockwise (after mirroring)")
    scale: float = Field(description="size of the target in terms of the source")
    flip: bool = Field(description="mirrored")
    inliers: int = Field(description="correspondences that agree with the transform")
    correlation: float = Field(description="mean local normalised correlation of the two regions, -1..1")
    method: Literal["keypoints", "dense"]
    transform: list[list[float]] = Field(description="2 x 3: source coordinates (x, y) to those of the target")


class AlteredRegion(Model):
    """A connected region that the localizer calls altered."""

    box: tuple[int, int, int, int] = Field(description="left, top, right, bottom in pixels, right and bottom outside")
    area: int = Field(description="pixels")
    probability: float = Field(description="mean over its pixels, 0..1")


class Altered(Model):
    """What the localizer says of a picture."""

    verdict: Literal["forged", "authentic", "inconclusive"] = Field(description="the localizer's own")
    probability: float = Field(description="calibrated, 0..1: that anything in the picture is altered")
    counts: bool = Field(
        description="whether `forged` here makes the picture forged: only if the false alarms in the localizer's card "
        "are few enough"
    )
    regions: list[AlteredRegion] = Field(description="largest first")


class PictureResult(Model):
    """What was looked for in a still picture beside faces."""

    copied: list[CopiedPair] = Field(description="regions that occur twice, largest first")
    altered: Altered
    reason: str


class Timings(Model):
    """Wall seconds by step. `load` is the start-up, not counted in `total`."""

    load: float
    decode: float
    detect: float
    classify: float = Field(description="the network that judges every face")
    specialists: float = Field(
        default=0.0, description="their scores, and the window that is read for those which look at motion"
    )
    match: float = Field(description="what only a still picture gets: matcher, localizer, maps; 0 for a video")
    total: float


class Problem(Model):
    """Something that went wrong, and its cause."""

    cause: str = Field(description="a short stable code, e.g. `empty_file`, `truncated`, `no_video`")
    message: str = Field(description="a sentence that names the file and says what to do")


class Versions(Model):
    interceptor: str
    weights: dict[str, str] = Field(description="SHA-256 of each weight file used, by file name")


@dataclass
class PictureEvidence:
    """Pictures behind a picture's result, for the report; never part of the JSON."""

    rgb: np.ndarray
    """uint8[H, W, 3]"""
    matches: list[Match]
    seen: np.ndarray
    """uint8[h, w, 3]: the same as the localizer saw it, smaller where it is large."""
    localization: Localization
    maps: list[EvidenceMap]


@dataclass
class Sight:
    """What one specialist saw of a face, where it leant most towards forged; never part of the JSON."""

    time: float
    """seconds"""
    crop: np.ndarray
    """uint8[224, 224, 3] RGB"""
    seen: np.ndarray
    """float32[3, 224, 224]: the crop's moment through the lens"""
    used: bool = True
    """whether the score rests on it, or on the crop alone"""
    saw: str = ""
    """all that it looked at, in words"""


@dataclass
class Evidence:
    """Pictures behind a face's score, for the report; never part of the JSON."""

    crops: np.ndarray
    """uint8[n, 224, 224, 3] RGB, in the order of `FaceResult.crops`."""
    heat: np.ndarray
    """float32[n, 14, 14]: each patch's exact share of the crop's logit; their mean plus a constant is the logit.
    [0, 14, 14] in the fast tier, whose network has no such shares."""
    sights: dict[str, Sight] = field(default_factory=dict)
    """By specialist, the full ones as `ll full`; those that saw nothing are left out."""


class ScanResult(Model):
    """The answer for one file."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    path: str
    sha256: str | None = Field(description="of the file; null where it could not be read")
    verdict: Verdict
    probability: float | None = Field(
        description="calibrated probability of forgery, 0..1: of the worst face, or of what was found in a picture; "
        "with `verdict_from` `full` the weighted mean of calibrated log-odds, which is not calibrated itself"
    )
    threshold: float | None = Field(description="a file is called forged at or above this probability")
    authentic_threshold: float | None = Field(description="a file is called authentic at or below this probability")
    fpr: float | None = Field(
        description="the stated false-alarm rate behind `threshold`; null where full specialists count: none was "
        "measured for that mixture"
    )
    reason: str = Field(description="the verdict in a sentence")
    coverage: Coverage | None
    faces: list[FaceResult]
    tier: Tier = "standard"
    verdict_from: Source = Field(
        default="screen",
        description="whose probability the verdict on faces follows; `full`: the standard tier's and full specialists'",
    )
    screen: SpecialistScore | None = Field(default=None, description="of the face that decides")
    specialists: dict[str, SpecialistScore] = Field(
        default_factory=dict, description="of the face that decides, by code"
    )
    full: dict[str, SpecialistScore] = Field(default_factory=dict, description="of the face that decides, by code")
    picture: PictureResult | None = Field(description="for still pictures; null for videos and errors")
    media: Media | None
    quality: dict[str, float | None] | None = Field(
        default=None, description="measures of the picture and of the deciding face's size, where the scan needed them"
    )
    timings: Timings | None
    errors: list[Problem]
    versions: Versions
    evidence: dict[int, Evidence] = Field(default_factory=dict, exclude=True, repr=False)
    """By face id; only filled where a report was asked for."""
    picture_evidence: PictureEvidence | None = Field(default=None, exclude=True, repr=False)
    """Only filled for pictures, where a report was asked for."""
