"""Which split a file of a collection without splits of its own belongs to: by the person that its name tells of.

Decided by names alone, so that it never changes. Files of one person or one video go together, and so do all of a
collection that films few people and does not name them; any other file goes by its own name.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Literal

Split = Literal["train", "val", "test"]

TEST, VALIDATION = 0.2, 0.15
"""Shares of people kept for the figures, and for choosing the step of a run."""
PEOPLE = {
    # A sentence as GRID spells it (command, colour, preposition, letter, digit, adverb), of 34 speakers in one studio;
    # only its folders name them.
    "grid": re.compile(r"(?:^|_)[blps][bgrw][abiw][a-vx-z][1-9z][anps]$"),
    "crema-d": re.compile(r"^(1\d{3})_[A-Z]{3}_(?:ANG|DIS|FEA|HAP|NEU|SAD)_(?:LO|MD|HI|XX)"),
    "ravdess": re.compile(r"^(?:\d\d-){6}(\d\d)$"),
    "celeb-df": re.compile(r"^(id\d+)_(?:id\d+_)?\d{4}$"),  # whose video it is; a swap's other person comes second
}
"""How collections name their files; what the parentheses hold is the person."""
VIDEO_ID = re.compile(r"(?<![A-Za-z0-9-])[A-Za-z0-9-]{11}(?![A-Za-z0-9-])")


def group_of(path: Path) -> str:
    """What files that must stay on one side have in common: person, video or collection, else the file's name."""
    for collection, pattern in PEOPLE.items():
        if found := pattern.search(path.stem):
            return " ".join([collection, *found.groups()])
    video = VIDEO_ID.search(path.stem)
    return video.group() if video else path.stem


def split_of(path: Path) -> Split:
    """The split of a file's group."""
    place = int(hashlib.sha256(group_of(path).encode()).hexdigest()[:8], 16) / 2**32
    return "test" if place < TEST else "val" if place < TEST + VALIDATION else "train"


def first_word(path: Path) -> str:
    """A file's name up to the first underscore: collections name the maker, the person or the video there."""
    return path.stem.split("_")[0]
