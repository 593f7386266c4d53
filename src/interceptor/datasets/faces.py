"""Face crops cut from videos and pictures, in the one crop convention, written as a folder that training and
evaluation read.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from interceptor.datasets.listing import media_files
from interceptor.media import Frame, FrameReader, MediaError, probe
from interceptor.media.crops import MIN_FACE, crop_side, cut
from interceptor.media.faces import FaceDetector

COLUMNS = ("path", "label", "source", "clip", "split", "time", "source_px")
QUALITY = 98


@dataclass(frozen=True)
class Origin:
    """Files of one label from one source."""

    path: Path
    label: int
    source: str

    @classmethod
    def parse(cls, text: str, label: int) -> Origin:
        """`PATH` or `SOURCE=PATH`; without a name the source is the folder's (its parent's for `real` and `fake`)."""
        name, _, rest = text.rpartition("=")
        path = Path(rest)
        if not path.exists():
            raise ValueError(f"{path}: no such file or folder")
        return cls(path, label, name or (path.parent.name if path.name in ("real", "fake") else path.name))


def validation(key: str, share: float) -> bool:
    """Whether a clip belongs to validation: decided by its name alone, so that it never changes sides."""
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 2**32 < share


def prepare_faces(
    origins: Sequence[Origin],
    out: Path,
    detector: FaceDetector,
    *,
    frames: int = 8,
    validation_share: float = 0.4,
    advance: Callable[[Path], None] = lambda path: None,
) -> Counter[str]:
    """Cut the faces of many files into `out` (new or empty): JPEG crops and an `index.csv`.

    A crop's clip is the file it was cut from. Returns what was counted: `files`, `crops`, `frames_without_face`, and
    failures by cause; a file that cannot be read is counted, never skipped in silence. Raises `FileExistsError` where
    `out` already holds an index.
    """
    index = out / "index.csv"
    if index.exists():
        raise FileExistsError(f"{index}: exists already; choose a new folder")
    (out / "crops").mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    rows: list[dict[str, object]] = []
    for origin, file in ((each, file) for each in origins for file in media_files([each.path])):
        counts["files"] += 1
        clip = f"{origin.source}__{file.stem}"
        known = {
            "label": origin.label,
            "source": origin.source,
            "clip": clip,
            "split": "val" if validation(clip, validation_share) else "train",
        }
        try:
            for frame in FrameReader(file, probe(file), frames):
                rows += [known | row for row in _cut_frame(frame, detector, out, clip, counts)]
        except MediaError as error:
            counts[error.cause] += 1
        advance(file)
    counts["crops"] = len(rows)
    temporary = index.with_suffix(f".{os.getpid()}.part")
    with temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    temporary.replace(index)
    return counts


def _cut_frame(
    frame: Frame, detector: FaceDetector, out: Path, clip: str, counts: Counter[str]
) -> Iterator[dict[str, object]]:
    """Cut and write the faces of one frame; those less than half as large as the largest are people in the
    background.
    """
    faces = detector(frame.rgb)
    counts["frames_without_face"] += not faces
    sides = [crop_side(face.landmarks) for face in faces]
    for i, (face, side) in enumerate(zip(faces, sides, strict=True)):
        if side < MIN_FACE:
            counts["face_too_small"] += 1
        elif side > max(sides) / 2:
            name = f"crops/{clip}__{frame.index}_{i}.jpg"
            Image.fromarray(cut(frame.rgb, face.landmarks)).save(out / name, quality=QUALITY, subsampling=0)
            yield {"path": name, "time": f"{frame.time:.3f}", "source_px": round(side)}
