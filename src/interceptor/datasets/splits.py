"""Which split a file of a collection without splits of its own belongs to: by its name, so that it never changes."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Literal

Split = Literal["train", "val", "test"]

TEST, VALIDATION = 0.2, 0.15
"""Shares of files kept for the figures, and for choosing the step of a run."""
VIDEO_ID = re.compile(r"(?<![A-Za-z0-9-])[A-Za-z0-9-]{11}(?![A-Za-z0-9-])")


def split_of(path: Path) -> Split:
    """Decided by the file's name, so that it never changes. Files that name one video's id go together."""
    found = VIDEO_ID.search(path.stem)
    key = found.group() if found else path.stem
    place = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 2**32
    return "test" if place < TEST else "val" if place < TEST + VALIDATION else "train"


def first_word(path: Path) -> str:
    """A file's name up to the first underscore: collections name the maker, the person or the video there."""
    return path.stem.split("_")[0]
