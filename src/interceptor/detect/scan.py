"""A scan: one file in, one verdict with its evidence out."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np

from interceptor import __version__
from interceptor.detect.detector import load_detector
from interceptor.detect.full import FullSpecialists, models_folder
from interceptor.detect.looks import Looks, Views, gather
from interceptor.detect.panel import Answer, Panel, silent
from interceptor.detect.picture import PictureScanner
from interceptor.detect.reading import QUALITY_FRAMES, Found, find_faces
from interceptor.detect.result import (
    Coverage,
    Evidence,
    Media,
    Problem,
    ScanResult,
    Sight,
    Source,
    Tier,
    Timings,
    Versions,
)
from interceptor.detect.router import Choice
from interceptor.detect.screen import Screen, Seen, Student
from interceptor.detect.specialists import crops_told
from interceptor.detect.verdict import CROPS_PER_FACE, deciding_face, fewest_frames, judge_face, judge_file
from interceptor.lenses import LENSES
from interceptor.media import MediaError
from interceptor.media.container import read_head
from interceptor.media.quality import Quality, measure_quality
from interceptor.runtime import weights

logger = logging.getLogger(__name__)

FAST = "the fast tier runs the student alone"
NO_FACE = "there is no usable face"


class Scanner:
    """Everything a scan needs, loaded once; then `scan` one file after another.

    frames: how many are sampled over a file's length. fpr: the stated false-alarm rate behind the verdicts. tier: what
    judges a face: the student (`fast`), the screen with the standard specialists, or with full ones too (`full`), those
    in the folder `models`. specialists: which of them, a choice of `router.parse_choice`. verdict_from: whose
    probability the verdict follows, in place of what the ensemble's card says. quality: measure it also where neither
    the router nor a gate of the ensemble asks for it. evidence: keep crops, heat maps and what
    specialists saw in the results, for a report. Raises `WeightError` (a damaged installation) or `ValueError` (a rate
    the card's thresholds do not reach, specialists or `models` that the tier does not run).

    `errors` names files of specialists that are damaged; scans go on without them. `remark` says where the full tier
    has none to run, else None.
    """

    def __init__(
        self,
        *,
        frames: int = 32,
        fpr: float = 0.05,
        tier: Tier = "standard",
        specialists: Choice = None,
        models: Path | None = None,
        verdict_from: Literal["screen", "ensemble"] | None = None,
        quality: bool = False,
        evidence: bool = False,
        folder: Path = weights.FOLDER,
    ) -> None:
        start = time.perf_counter()
        if frames < 1:
            raise ValueError(f"frames must be at least 1, not {frames}")
        if tier == "fast" and specialists:
            raise ValueError(f"{FAST}: ask for no specialists, or for the standard or the full tier")
        if tier == "fast" and verdict_from is not None:
            raise ValueError(f"{FAST}: the verdict can follow the student alone, not the {verdict_from}")
        if tier != "full" and models is not None:
            raise ValueError(f"{models}: full specialists run in the full tier only, not in the {tier} one")
        self.frames, self.tier, self.evidence = frames, tier, evidence
        self._detector = load_detector(folder)
        with ThreadPoolExecutor(1) as beside:  # compiling networks takes one processor
            looks = None if tier == "fast" else beside.submit(Looks, specialists, folder)
            self.screen: Screen | Student = Student(folder, fpr=fpr) if looks is None else Screen(folder, fpr=fpr)
            self._looks = None if looks is None else looks.result()
        self._panel = None if tier == "fast" else Panel(self.screen, folder, verdict_from)
        self._full = FullSpecialists(models_folder(models), specialists) if tier == "full" else None
        self._codes = self._looks.codes if self._looks else frozenset[str]()
        self._codes |= frozenset(self._full.members if self._full else ())
        self._measures = self._panel is not None and (quality or tier == "full" or self._panel.gated)
        self._pictures = PictureScanner(folder, evidence=evidence)
        files = {*self.screen.card["files"], "centerface.onnx", *(self._looks.files if self._looks else ())}
        full = self._full.digests if self._full else {}
        self._versions = Versions(interceptor=__version__, weights=_digests(folder, files) | full)
        more = _digests(folder, files | set(self._pictures.files)) | full
        self._picture_versions = Versions(interceptor=__version__, weights=more)
        self.load_seconds = time.perf_counter() - start

    @property
    def _source(self) -> Source:
        """Whose probability verdicts follow unless full specialists count."""
        return self._panel.verdict_from if self._panel else "student"

    @property
    def errors(self) -> list[str]:
        return [*(self._looks.errors if self._looks else ()), *(self._full.errors if self._full else ())]

    @property
    def remark(self) -> str | None:
        return self._full.remark if self._full else None

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
        found = find_faces(
            path,
            self._detector,
            frames=self.frames,
            crops=self.frames if self.tier == "fast" else CROPS_PER_FACE,
            keep=QUALITY_FRAMES if self._measures else 0,
            context=any("context" in LENSES[code].views for code in self._codes),
        )
        info, tracks, chosen, reader, tracker, _ = found
        read = time.perf_counter()
        crops = [crop.image for picks in chosen for crop in picks]
        # One after the other: each uses all processors, and both at once get in each other's way.
        seen = self.screen.look(np.stack(crops) if crops else np.empty((0,)))
        done = time.perf_counter()
        views = gather(path, info, self._detector, tracks, chosen, self._codes)
        if not np.isfinite(seen.logits).all():
            raise FloatingPointError("the network gave a score that is not a number")
        ends = np.cumsum([len(picks) for picks in chosen])
        own = [slice(end - len(picks), end) for end, picks in zip(ends, chosen, strict=True)]
        qualities = self._qualities(found)
        answers, sights = self._answers(found, views, seen, own, qualities)
        looked = time.perf_counter()
        picture, picture_evidence = (None, None) if reader.still is None else self._pictures(path, reader.still)
        matched = time.perf_counter()

        fewest = fewest_frames(tracks)
        deciding = sum(len(track.crops) >= fewest for track in tracks)
        decision = self._panel.decision if self._panel else self.screen
        faces, evidence = [], {}
        for track, picks, part, answer, saw in zip(tracks, chosen, own, answers, sights, strict=True):
            faces.append(
                judge_face(
                    track,
                    picks,
                    seen.logits[part],
                    answer,
                    network=self.screen,
                    decision=decision,
                    deciding=deciding,
                    fewest=fewest,
                )
            )
            if self.evidence:
                evidence[track.id] = Evidence(np.stack([crop.image for crop in picks]), seen.heat[part], saw)
        coverage = Coverage(
            frames_requested=reader.requested,
            frames_decoded=reader.decoded,
            frames_with_face=tracker.frames_with_face,
            faces=len(tracks),
            faces_scored=len(faces),
            crops_scored=len(crops),
            failures=dict(Counter(reader.failures) + Counter(tracker.failures) + views.failures),
        )
        worst = deciding_face(faces, fewest)
        # Nobody measured what thresholds are worth where full specialists count, on whichever face that may decide.
        fpr = None if any(face.by_full for face in faces if face.frames >= fewest) else self.screen.fpr
        verdict, probability, reason = judge_file(faces, fewest, coverage, fpr)
        if picture is not None:
            verdict, probability, reason = self._pictures.join(picture, verdict, probability, reason)
        low, high = decision.probability(np.array(decision.thresholds(deciding)))
        return ScanResult(
            path=str(path),
            sha256=digest,
            verdict=verdict,
            probability=probability,
            threshold=float(high),
            authentic_threshold=float(low),
            fpr=fpr,
            reason=reason,
            coverage=coverage,
            faces=faces,
            tier=self.tier,
            verdict_from="full" if worst and worst.by_full else self._source,
            screen=worst.screen if worst else None,
            specialists=worst.specialists if worst else silent(NO_FACE),
            full=worst.full if worst else {},
            picture=picture,
            media=Media(**dataclasses.asdict(info)),
            quality=_numbers(qualities[worst.id]) if worst else None,
            timings=Timings(
                load=self.load_seconds,
                decode=read - opened - tracker.detect_seconds,
                detect=tracker.detect_seconds,
                classify=done - read,
                specialists=looked - done,
                match=matched - looked if picture is not None else 0.0,
                total=time.perf_counter() - start,
            ),
            errors=[Problem(cause="damaged_specialist", message=message) for message in self.errors],
            versions=self._versions if picture is None else self._picture_versions,
            evidence=evidence,
            picture_evidence=picture_evidence,
        )

    def _qualities(self, found: Found) -> list[Quality | None]:
        """The file's quality, with each face's own size; None where nothing asks for it."""
        if not self._measures:
            return [None] * len(found.tracks)
        whole = measure_quality(found.kept, found.info)
        sizes = [float(np.median([crop.side for crop in track.crops])) for track in found.tracks]
        return [dataclasses.replace(whole, face_size=size) for size in sizes]

    def _answers(
        self, found: Found, views: Views, seen: Seen, own: Sequence[slice], qualities: Sequence[Quality | None]
    ) -> tuple[list[Answer], list[dict[str, Sight]]]:
        """What is said of each face, and what each specialist saw of it."""
        logits = [float(np.mean(seen.logits[part])) for part in own]
        if self._looks is None or self._panel is None:
            return [Answer(logit, None, silent(FAST)) for logit in logits], [{} for _ in logits]
        answers, sights = [], []
        for track, picks, part, logit, quality in zip(found.tracks, found.chosen, own, logits, qualities, strict=True):
            said, saw = self._looks(views.moments[track.id], seen.tokens[part], views.window)
            words = {code: sight.saw for code, sight in saw.items()}
            words["screen"] = crops_told([crop.time for crop in picks])
            answers.append(self._panel.judge(logit, said, quality).having_seen(words))
            sights.append(saw)
        if self._full is not None and logits:
            decision = self._panel.decision
            fewest = fewest_frames(found.tracks)
            deciding = [i for i, track in enumerate(found.tracks) if len(track.crops) >= fewest]
            worst = max(deciding, key=lambda i: -np.inf if (s := answers[i].score) is None else s)
            seen_by_worst = qualities[worst]
            assert seen_by_worst is not None
            routed = self._full.route(seen_by_worst, answers[worst], decision, len(deciding))
            for i, track in enumerate(found.tracks):
                answers[i], more = self._full.weigh_in(answers[i], views.moments[track.id], routed, decision)
                sights[i] |= more
        return answers, sights

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
            tier=self.tier,
            verdict_from=self._source,
            specialists=silent("the file was not scanned"),
            picture=None,
            media=None,
            timings=None,
            errors=[Problem(cause=cause, message=message)],
            versions=self._versions,
        )


def _numbers(quality: Quality | None) -> dict[str, float | None] | None:
    if quality is None:
        return None
    return {name: None if np.isnan(value) else value for name, value in quality.measures().items()}


def _digests(folder: Path, files: Collection[str]) -> dict[str, str]:
    return {name: weights.sha256(folder / name) for name in sorted(files)}
