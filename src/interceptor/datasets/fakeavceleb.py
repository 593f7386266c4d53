"""FakeAVCeleb (Khalid et al., NeurIPS 2021): pictures and sound, each real or fake.

`meta_data.csv` has the columns source, target1, target2, method, category, type, race, gender, path, and an unnamed
tenth one with the folder (`FakeAVCeleb/RealVideo-RealAudio/African/men/id00076`).
"""

from __future__ import annotations

import csv
from pathlib import Path

from interceptor.datasets.videos import Choice, DatasetError, Table, Video, video_files

INDEX = "meta_data.csv"
TYPES = {"RealVideo-RealAudio": 0, "RealVideo-FakeAudio": 1, "FakeVideo-RealAudio": 1, "FakeVideo-FakeAudio": 1}
PUBLISHED = (500, 19_500)
COLUMNS = ("source", "target1", "target2", "method", "type", "path")


def read_fakeavceleb(root: Path, choice: Choice) -> Table:
    """All four types; whatever is fake, picture or sound, makes a video forged. There is no official split.

    Methods are named `TYPE/method`. Raises `DatasetError`.
    """
    index = root / INDEX
    if not index.is_file():
        raise DatasetError(f"{index}: missing; copy it from the data set")
    table = Table("fakeavceleb", root, [], "type: RealVideo-RealAudio authentic, any other forged")
    known: dict[str, Video] = {}
    listed: set[str] = set()
    with index.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file)
        header = next(lines, [])
        if missing := [name for name in COLUMNS if name not in header]:
            raise DatasetError(f"{index}: no column {', '.join(missing)}")
        for line in lines:
            if len(line) != len(header) or len(header) != 10:
                raise DatasetError(
                    f"{index}, line {lines.line_num}: {len(line)} columns; ten are expected, the last the folder"
                )
            cells = dict(zip(header, line, strict=True))
            name = "/".join([*line[9].strip("/").split("/")[1:], cells["path"]])
            listed.add(name)
            if not (root / name).is_file():
                table.missing.append(name)
                continue
            video = _video(root, name, cells, f"{index}, line {lines.line_num}")
            if known.setdefault(name, video) != video:
                raise DatasetError(f"{index}, line {lines.line_num}: {name} is listed twice, in two ways")
    table.videos = list(known.values())
    there = (path for kind in TYPES for path in video_files(root / kind, below=True))
    table.unlisted = [name for path in there if (name := path.relative_to(root).as_posix()) not in listed]
    counts = [sum(video.label == label for video in table.videos) for label in (0, 1)]
    table.parts = {"authentic": (counts[0], PUBLISHED[0]), "forged": (counts[1], PUBLISHED[1])}
    if sound := sum(video.method.startswith("RealVideo-FakeAudio") for video in table.videos):
        table.notes.append(f"{sound} videos are forged in their sound alone (method RealVideo-FakeAudio/...)")
    return table


def _video(root: Path, name: str, cells: dict[str, str], where: str) -> Video:
    kind = cells["type"]
    if kind not in TYPES:
        raise DatasetError(f"{where}: type {kind!r} is none of {', '.join(TYPES)}")
    if name.split("/")[0] != kind or (cells["method"] == "real") != (TYPES[kind] == 0):
        raise DatasetError(
            f"{where}: type {kind} and method {cells['method']} contradict one another or the folder of {name}"
        )
    people = [cells[column] for column in ("source", "target1", "target2") if cells[column].startswith("id")]
    return Video(
        path=root / name,
        name=name,
        label=TYPES[kind],
        dataset="fakeavceleb",
        method=f"{kind}/{cells['method']}" if TYPES[kind] else "",
        people=tuple(dict.fromkeys(people)),
    )
