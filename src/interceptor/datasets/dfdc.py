"""The DeepFake Detection Challenge data set (Dolhansky et al., 2020): training parts, and the test set of 5,000.

`dfdc_train_part_0` ... `_49`, each with a `metadata.json`; zip packs nest the folder once more
(`dfdc_train_part_00/dfdc_train_part_0/`). The test set has `labels.csv`, or a `metadata.json` with `is_fake`.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

from interceptor.datasets.videos import Choice, DatasetError, Table, Video, video_files

PART = re.compile(r"dfdc_train_part_(\d+)")
PARTS, AUTHENTIC, FORGED, TESTED = 50, 19_154, 100_000, 5_000
HELD_OUT = 10
"""With more parts than this, whole parts are held out."""
LABELS = {"REAL": 0, "FAKE": 1}


def read_dfdc(root: Path, choice: Choice) -> Table:
    """The training parts that are there, or the test set.

    Training parts have no official validation split. An original and its forgeries stay together; where there are more
    than ten parts, val and test are whole parts, the last ones, for parts share few or no actors. Raises
    `DatasetError`.
    """
    if (test := _test_labels(root)) is not None:
        return _read_test(root, test)
    table = Table("dfdc", root, [], "metadata.json: FAKE forged, REAL authentic")
    folders = _folders(root)
    side_of = dict.fromkeys(folders, "")
    if len(folders) > HELD_OUT:
        last = sorted(folders, key=lambda part: -1 if part is None else part)
        test_count, val_count = max(1, round(0.08 * len(last))), max(1, round(0.04 * len(last)))
        side_of = dict.fromkeys(last, "train")
        side_of |= dict.fromkeys(last[-test_count - val_count : -test_count], "val")
        side_of |= dict.fromkeys(last[-test_count:], "test")
        table.split_rule = f"by part: the last {test_count} are test, the {val_count} before them val"
    for part, folder in folders.items():
        _read_part(table, folder, part, choice.chunks, side_of[part])
    counts = [sum(video.label == label for video in table.videos) for label in (0, 1)]
    table.parts = {"parts": (len(folders), PARTS), "authentic": (counts[0], AUTHENTIC), "forged": (counts[1], FORGED)}
    if len(folders) == PARTS and not table.missing and counts != [AUTHENTIC, FORGED]:
        raise DatasetError(f"{root}: all {PARTS} parts, but {counts[0]} authentic and {counts[1]} forged videos")
    there = {video.name for video in table.videos}
    if orphans := sum(bool(video.original) and video.original not in there for video in table.videos):
        table.notes.append(f"{orphans} forgeries without their original in the folder")
    return table


def _folders(root: Path) -> dict[int | None, Path]:
    """Folders with a `metadata.json` by the number of their part (None: a folder of another name)."""
    found: dict[int | None, Path] = {}
    for outer in [root, *sorted(path for path in root.iterdir() if path.is_dir())]:
        inner = [path for path in sorted(outer.iterdir()) if PART.fullmatch(path.name) and path.is_dir()]
        for folder in [outer] if outer == root else [outer, *inner]:
            named = PART.fullmatch(folder.name)
            if not (folder / "metadata.json").is_file():
                if named and video_files(folder):
                    raise DatasetError(f"{folder}: holds videos but no metadata.json; unpack the part again")
                continue
            number = int(named[1]) if named else None
            if number in found:
                raise DatasetError(f"{folder}: the same part as {found[number]}; keep one of them")
            found[number] = folder
    if not found:
        raise DatasetError(f"{root}: no dfdc_train_part_*/metadata.json, metadata.json or labels.csv")
    return dict(sorted(found.items(), key=lambda item: -1 if item[0] is None else item[0]))


def _read_part(table: Table, folder: Path, part: int | None, chunks: int | None, split: str) -> None:
    index = folder / "metadata.json"
    entries = read_entries(index)
    files = {path.name: path for path in video_files(folder)}
    for name, facts in entries.items():
        if facts.get("label") not in LABELS:
            raise DatasetError(f"{index}: {name}: label {facts.get('label')!r} is neither FAKE nor REAL")
        label, original = LABELS[facts["label"]], facts.get("original")
        if bool(original) != bool(label):
            raise DatasetError(f"{index}: {name} is {facts['label']} and has {'an' if original else 'no'} original")
        if name not in files:
            table.missing.append(f"{folder.name}/{name}")
            continue
        table.videos.append(
            Video(
                path=files[name],
                name=files[name].relative_to(table.root).as_posix(),
                label=label,
                dataset="dfdc",
                method="DFDC" if label else "",
                original=(folder / original).relative_to(table.root).as_posix() if original else "",
                split=split,
                chunk=part if part is None or chunks is None else part % chunks,
            )
        )
    table.unlisted += [f"{folder.name}/{name}" for name in sorted(files.keys() - entries.keys())]


def _test_labels(root: Path) -> dict[str, Any] | None:
    """`is_fake` by name, of the test set; None where this is none."""
    if (root / "labels.csv").is_file():
        with (root / "labels.csv").open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"filename", "label"} <= set(rows.fieldnames or []):
                raise DatasetError(f"{root / 'labels.csv'}: no columns filename, label")
            return {row["filename"]: row["label"] for row in rows}
    if (root / "metadata.json").is_file():
        entries = read_entries(root / "metadata.json")
        if any("is_fake" in facts for facts in entries.values()):
            return {name: str(facts.get("is_fake")) for name, facts in entries.items()}
    return None


def _read_test(root: Path, labels: dict[str, Any]) -> Table:
    table = Table("dfdc", root, [], "1 = forged", split_rule="all are the test set")
    files = {path.name: path for folder in (root, *sorted(root.iterdir())) for path in video_files(folder)}
    for name, label in labels.items():
        if label not in ("0", "1"):
            raise DatasetError(f"{root}: {name}: label {label!r} is neither 1 (forged) nor 0")
        if name in files:
            place = files[name].relative_to(root).as_posix()
            method = "DFDC" if label == "1" else ""
            table.videos.append(Video(files[name], place, int(label), "dfdc", method, split="test"))
    table.missing = sorted(labels.keys() - files.keys())
    table.unlisted = sorted(files.keys() - labels.keys())
    table.parts = {"test set": (len(table.videos), TESTED)}
    if not table.videos:
        raise DatasetError(f"{root}: none of the {len(labels)} videos that its labels name is there")
    return table


def read_entries(path: Path) -> dict[str, dict[str, Any]]:
    """A JSON file that says something of each video by its name. Raises `DatasetError`."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DatasetError(f"{path}: not JSON ({error}); unpack it again") from error
    if not isinstance(entries, dict) or not all(isinstance(facts, dict) for facts in entries.values()):
        raise DatasetError(f"{path}: not a table of videos by name")
    return entries
