"""The manifest of a prepared folder: one row for each sample, and where it lies."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

MANIFEST = "manifest.csv"


class ShardError(ValueError):
    """A prepared folder that cannot be used; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One sample of the manifest."""

    key: str
    """unique in the folder, without a dot"""
    label: int
    """1 = forged, 0 = authentic"""
    method: str
    """what forged it, the data set's own word; empty for an authentic one"""
    split: str
    """train, val or test"""
    group: str
    """identity group: never on two sides of a split"""
    source: str
    """name of the data set"""
    video: str
    """path of the file below the data set's root"""
    chunk: int | None = None
    """part of the data set that is trained on by itself"""
    original: str = ""
    """`video` of the authentic file it was made from, where the data set tells"""
    frame: int = 0
    """number of the frame in the video"""
    time: float = 0.0
    """seconds from the start of the video"""
    face: int = 0
    """number of the face in its window, the most visible one 0"""
    views: str = ""
    """what it holds beside the crop: any of context, native, neighbours, mouth, sound; a space between"""
    shard: str = ""
    """name of the tar in `shards/`"""
    offset: int = 0
    size: int = 0
    """where its members lie in the shard, bytes"""
    talk_offset: int = 0
    talk_size: int = 0
    """where mouth and sound lie; 0 where it has none"""


def read_manifest(folder: Path) -> list[Row]:
    """The rows of a prepared folder. Raises `ShardError`."""
    path = folder / MANIFEST
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = csv.reader(file)
            header = next(lines, [])
            if header != [field.name for field in fields(Row)]:
                raise ShardError(f"{path}: not a manifest of this version; prepare the folder again")
            return [_row(dict(zip(header, line, strict=True))) for line in lines]
    except FileNotFoundError:
        raise ShardError(f"{path}: no such file; make the folder by `interceptor prepare`, to its end") from None
    except (ValueError, csv.Error) as error:
        raise error if isinstance(error, ShardError) else ShardError(f"{path}: damaged ({error})") from error


def read_notes(folder: Path) -> tuple[list[Row], list[dict[str, Any]]]:
    """Rows and notes of all complete shards, in the order of their names."""
    rows: list[Row] = []
    notes: list[dict[str, Any]] = []
    for path in sorted((folder / "shards").glob("*.json")):
        facts = json.loads(path.read_text(encoding="utf-8"))
        rows += [_row(cells) for cells in facts["rows"]]
        notes += facts["notes"]
    return rows, notes


def write_manifest(folder: Path) -> list[Row]:
    """Bring the rows of all complete shards together in `manifest.csv`."""
    rows, _ = read_notes(folder)
    with io.StringIO(newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows(cells_of(row) for row in rows)
        write_whole(folder / MANIFEST, stream.getvalue())
    return rows


def write_whole(path: Path, text: str) -> None:
    """Write under a temporary name, then rename: readers see the old file or the new one."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="")
    part.replace(path)


def cells_of(row: Row) -> dict[str, str]:
    found = {field.name: getattr(row, field.name) for field in fields(Row)}
    return {name: "" if value is None else str(value) for name, value in found.items()}


_NUMBERS: dict[str, Callable[[str], Any]] = {
    "label": int,
    "chunk": lambda text: int(text) if text else None,
    "time": float,
    **dict.fromkeys(("frame", "face", "offset", "size", "talk_offset", "talk_size"), int),
}


def _row(cells: dict[str, str]) -> Row:
    # A million rows repeat a few names: interned, they are stored once.
    return Row(**{name: _NUMBERS.get(name, sys.intern)(text) for name, text in cells.items()})
