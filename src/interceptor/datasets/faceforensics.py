"""FaceForensics++ (Roessler et al., ICCV 2019) and Google's DeepFakeDetection (DFD), as published or as a flat mirror.

Published: `original_sequences/{youtube,actors}/{raw,c23,c40}/videos/*.mp4` and
`manipulated_sequences/METHOD/{raw,c23,c40}/videos/*.mp4`. The mirror: `METHOD/*.mp4` beside `original/*.mp4`.
A forgery is named by the face that it shows and the one it came from: `519_515.mp4` is 519 with the face of 515.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from interceptor.datasets.videos import SPLITS, Choice, DatasetError, Table, Video, video_files

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")
DFD = "DeepFakeDetection"
PAIRS = {"train": 360, "val": 70, "test": 70}
COMPRESSIONS = ("c23", "raw", "c40")
"""The first one found is read, unless another is asked for."""
NAME = re.compile(r"(?P<target>\d+)(_(?P<source>\d+))?(__(?P<scene>.+?)(__[A-Z0-9]{8})?)?")


@dataclass(frozen=True)
class Part:
    """One folder of videos."""

    name: str
    folder: Path
    originals: Path
    """the folder of the authentic videos that its own were made from; for authentic ones itself"""
    published: int | None

    @property
    def label(self) -> int:
        return int(self.folder != self.originals)

    @property
    def films(self) -> bool:
        """Made of the 1,000 films from YouTube, which the official split is about; else of DFD's actors."""
        return self.name not in ("actors", DFD)


def read_faceforensics(root: Path, choice: Choice) -> Table:
    """The table of one compression: what `choice` names, else c23 where it is there.

    The official split is by pairs: a pair owns both originals and both forgeries of every method. DFD has none. Raises
    `DatasetError`.
    """
    table = Table("faceforensics", root, [], "by folder: original_sequences authentic, manipulated_sequences forged")
    if any((root / name).is_dir() for name in ("original_sequences", "manipulated_sequences")):
        compression = _compression(root, choice.compression, table)
        parts = _published(root, compression)
    else:
        table.convention = "by folder: original authentic, those named after a method forged"
        compression = "c23" if "c23" in root.resolve().name.lower() else ""
        parts = _flat(root)
    files = {part: found for part in parts if (found := video_files(part.folder))}
    if not files:
        raise DatasetError(
            f"{root}: neither original_sequences/ and manipulated_sequences/ of FaceForensics++, nor folders named "
            "after its methods, with videos in them"
        )
    side_of: dict[str, str] = {}
    if choice.split == "official" and any(part.films for part in files):
        side_of = _official(root, choice.splits, table)
    for part, paths in files.items():
        table.parts[part.name] = len(paths), part.published
        table.videos += [_video(path, part, root, compression, side_of) for path in paths]
    if side_of:
        _compare(table, files, side_of)
    return table


def _published(root: Path, compression: str) -> list[Part]:
    def folder(name: str) -> Path:
        return root / name / compression / "videos"

    films, actors = folder("original_sequences/youtube"), folder("original_sequences/actors")
    return [
        Part("youtube", films, films, 1000),
        *(Part(method, folder(f"manipulated_sequences/{method}"), films, 1000) for method in METHODS),
        Part("actors", actors, actors, 363),
        Part(DFD, folder(f"manipulated_sequences/{DFD}"), actors, 3068),
    ]


def _flat(root: Path) -> list[Part]:
    """The mirror holds a selection of DFD's forgeries and none of its originals."""
    films = root / "original"
    return [
        Part("youtube", films, films, 1000),
        *(Part(method, root / method, films, 1000) for method in METHODS),
        Part(DFD, root / DFD, root / "actors", None),
    ]


def _compression(root: Path, wanted: str | None, table: Table) -> str:
    found = [each for each in COMPRESSIONS if any(root.glob(f"*_sequences/*/{each}/videos"))]
    wanted = {"c0": "raw"}.get(wanted or "", wanted)
    if wanted not in (None, *found) or not found:
        raise DatasetError(
            f"{root}: no */*/{wanted or 'c23'}/videos; the compressions there: {', '.join(found) or 'none'}"
        )
    chosen = wanted or found[0]
    if others := [each for each in found if each != chosen]:
        table.notes.append(f"compression {chosen} is read; {', '.join(others)} is there too")
    return chosen


def _video(path: Path, part: Part, root: Path, compression: str, side_of: dict[str, str]) -> Video:
    named = NAME.fullmatch(path.stem)
    if named is None or bool(named["source"]) != bool(part.label) or bool(named["scene"]) == part.films:
        form = ("NUMBER", "TARGET_SOURCE")[part.label] + ("" if part.films else "__SCENE")
        raise DatasetError(f"{path}: videos of {part.name} are named {form}; is this file of the set?")
    kind = "film" if part.films else "actor"
    people = [named["target"], named["source"]] if part.label else [named["target"]]
    sides = {side_of.get(who, "") for who in people} if part.films else {""}
    if len(sides) > 1:
        raise DatasetError(f"{path}: the split files put {' and '.join(people)} on two sides")
    original = part.originals / "__".join(filter(None, (named["target"], named["scene"])))
    return Video(
        path=path,
        name=path.relative_to(root).as_posix(),
        label=part.label,
        dataset="faceforensics",
        method=part.name if part.label else "",
        compression=compression,
        people=tuple(f"{kind} {who}" for who in people),
        original=f"{original.relative_to(root).as_posix()}.mp4" if part.label else "",
        split=sides.pop(),
    )


def _official(root: Path, given: Path | None, table: Table) -> dict[str, str]:
    """The side of each film by its number."""
    table.split_rule = "the official train.json, val.json and test.json, by pairs"
    places = [given] if given else [root / "splits", root]
    side_of: dict[str, str] = {}
    for side in SPLITS:
        file = next((place / f"{side}.json" for place in places if (place / f"{side}.json").is_file()), None)
        if file is None:
            raise DatasetError(
                f"{root}: the official split file {side}.json is missing in {' and '.join(map(str, places))}. Copy it "
                "from dataset/splits of the FaceForensics repository, or name its folder by --splits, or make another "
                "split by --split seeded"
            )
        try:
            pairs = [(str(a), str(b)) for a, b in json.loads(file.read_text(encoding="utf-8"))]
        except (ValueError, TypeError) as error:
            raise DatasetError(f"{file}: not a list of pairs ({error}); get the official file again") from error
        if len(pairs) != PAIRS[side]:
            table.notes.append(f"{file.name} names {len(pairs)} pairs, the official one {PAIRS[side]}")
        for who in (who for pair in pairs for who in pair):
            if side_of.setdefault(who, side) != side:
                raise DatasetError(f"{file}: {who} is in {side_of[who]}.json too; get the official files again")
    return side_of


def _compare(table: Table, files: dict[Part, list[Path]], side_of: dict[str, str]) -> None:
    """Hold files and split files against one another. Raises `DatasetError` where a complete part does not fit."""
    table.unlisted = [video.name for video in table.videos if not video.split and "film" in video.people[0]]
    unlisted = set(table.unlisted)
    table.videos = [video for video in table.videos if video.name not in unlisted]
    counts = Counter((video.method or "youtube", video.split) for video in table.videos)
    for part, paths in files.items():
        if not part.films:
            continue
        there = {path.stem.split("_")[0] for path in paths}
        ending = "_*.mp4" if part.label else ".mp4"
        table.missing += [f"{part.name}: {who}{ending}" for who in sorted(side_of.keys() - there)]
        sizes = {side: counts[part.name, side] for side in SPLITS}
        if len(paths) == part.published and sizes != {side: 2 * pairs for side, pairs in PAIRS.items()}:
            raise DatasetError(
                f"{part.folder}: all {len(paths)} videos are there, but the split files make {sizes} of them"
            )
