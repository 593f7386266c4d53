"""A CSV of videos, pictures or face crops: columns `path`, `label`, and what else is known, under the usual names."""

from __future__ import annotations

import csv
from pathlib import Path

from interceptor.datasets.videos import SPLITS, Choice, DatasetError, Table, Video

REQUIRED = ("path", "label")
OPTIONAL = {
    "group": ("group", "pair", "clip"),
    "split": ("split",),
    "method": ("method", "model"),
    "original": ("original",),
    "chunk": ("chunk", "part"),
    "source": ("source",),
}
"""Columns by what they say; of several that are there the first counts."""
LABELS = {"0": 0, "1": 1}
FOLDERS = {"real": 0, "authentic": 0, "original": 0, "fake": 1, "forged": 1, "manipulated": 1}
"""Names of folders that say what is in them."""


def read_table(root: Path, choice: Choice) -> Table:
    """`root` is the CSV, or a folder with an `index.csv`; paths are relative to the CSV. 1 = forged.

    `source` takes the place of the set's name. A label that contradicts a folder named real, fake, ... is an error, as
    is any other label. Raises `DatasetError`.
    """
    index = root / "index.csv" if root.is_dir() else root
    table = Table("csv", index.parent, [], "column label: 1 forged, 0 authentic")
    seen: set[str] = set()
    try:
        with index.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if missing := [name for name in REQUIRED if name not in (rows.fieldnames or [])]:
                raise DatasetError(f"{index}: no column {', '.join(missing)}")
            for row in rows:
                where = f"{index}, line {rows.line_num}"
                cells = {name: (row.get(name) or "").strip() for name in REQUIRED}
                for name, columns in OPTIONAL.items():
                    cells[name] = next((row[column].strip() for column in columns if row.get(column)), "")
                video = _video(index.parent, cells, where, choice)
                if video.name in seen:
                    raise DatasetError(f"{where}: {video.name} is listed twice")
                seen.add(video.name)
                if video.path.is_file():
                    table.videos.append(video)
                else:
                    table.missing.append(video.name)
    except FileNotFoundError:
        raise DatasetError(f"{index}: no such file; a table is a CSV with columns path,label") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{index}: not a CSV file in UTF-8: {error}") from error
    if choice.split == "official" and any(video.split for video in table.videos):
        table.split_rule = "column split"
    table.parts = {"videos": (len(table.videos), None)}
    return table


def _video(folder: Path, cells: dict[str, str], where: str, choice: Choice) -> Video:
    if cells["label"] not in LABELS:
        raise DatasetError(f"{where}: label {cells['label']!r} is neither 1 (forged) nor 0 (authentic)")
    if not cells["path"]:
        raise DatasetError(f"{where}: the path is empty")
    if cells["split"] not in ("", *SPLITS):
        raise DatasetError(f"{where}: split {cells['split']!r} is none of {', '.join(SPLITS)}")
    if not (cells["chunk"] or "0").isdigit():
        raise DatasetError(f"{where}: chunk {cells['chunk']!r} is not a number")
    label = LABELS[cells["label"]]
    for part in Path(cells["path"]).parts[:-1]:
        if FOLDERS.get(part.lower(), label) != label:
            raise DatasetError(
                f"{where}: label {label} ({'forged' if label else 'authentic'}) contradicts the folder {part}/"
            )
    chunk = int(cells["chunk"]) if cells["chunk"] else None
    if chunk is not None and choice.chunks is not None:
        chunk %= choice.chunks
    return Video(
        path=folder / cells["path"],
        name=Path(cells["path"]).as_posix(),
        label=label,
        dataset=cells["source"] or folder.resolve().name,
        method=(cells["method"] or "fake") if label else "",
        original=cells["original"],
        group=cells["group"],
        split=cells["split"] if choice.split == "official" else "",
        chunk=chunk,
    )
