"""Which files of a folder are meant: hidden ones, and all in hidden folders, are not."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

NOT_MEDIA = {".csv", ".htm", ".html", ".json", ".jsonl", ".md", ".txt"}


def media_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Files as given, folders searched through, in a fixed order; hidden files and text are left out.

    A folder that cannot be read is given itself, so that whoever opens it tells so.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        unreadable: list[OSError] = []
        yield from (file for file in files_below(path, unreadable) if file.suffix.lower() not in NOT_MEDIA)
        yield from (Path(error.filename) for error in unreadable)


def files_below(folder: Path, unreadable: list[OSError] | None = None) -> Iterator[Path]:
    """All files at any depth, folder by folder in a fixed order. A folder that cannot be read raises `ValueError`, or
    is added to `unreadable` where that is given.
    """
    for place, folders, names in os.walk(folder, onerror=_refuse if unreadable is None else unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def _refuse(error: OSError) -> None:
    raise ValueError(f"{error.filename}: the folder cannot be read: {error.strerror}") from error
