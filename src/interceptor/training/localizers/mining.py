"""Mining: which training samples a localizer gets wrong, as lists that later members draw from.

`negatives` are authentic samples on which it fires, `misses` forged ones of which it finds too little. Only samples of
the training part are ever looked at, so that validation and test stay what they were.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from interceptor.training.checkpoints import CheckpointError, write_bytes
from interceptor.training.localizers.data import FULL, IGNORED, Sample

NEGATIVES, MISSES = LISTS = ("negatives", "misses")
FIRES = 0.001
"""An authentic sample on which more than this share of the pixels is called is a hard one."""
FOUND = 0.5
"""A forgery of which less than this share is called is missed."""


class Mined(NamedTuple):
    """A row of a list."""

    sample: str
    """Its name, by which it is found again."""
    kind: str
    picture: str
    """The file it was made from."""
    share: float
    """Of an authentic sample's pixels that are called, or of a forgery's pixels that are found."""


def truths(target: np.ndarray) -> np.ndarray:
    """bool: the cells of a target uint8[..., h, w] (see `data`) that are forged."""
    return (target >= FULL / 2) & (target != IGNORED)


def mine(what: str, samples: Sequence[Sample], maps: Iterable[tuple[np.ndarray, np.ndarray]]) -> list[Mined]:
    """The `samples` that are hard, hardest first. `maps` gives for each its logits float[h, w] and its target
    uint8[h, w]; a pixel is called at a probability of .5.

    Raises `ValueError` for another list than `LISTS`, and where a sample is not of the training part.
    """
    if what not in LISTS:
        raise ValueError(f"no list {what!r}; choose from {', '.join(LISTS)}")
    if kept_out := [sample.name for sample in samples if sample.source.split != "train"]:
        raise ValueError(f"{kept_out[0]}: not of the training part; it must not be mined")
    rows = []
    for sample, (logits, target) in zip(samples, maps, strict=True):
        if sample.forged != (what == MISSES):
            continue
        called = (logits >= 0) & (target != IGNORED)
        truth = truths(target)
        if what == NEGATIVES:
            share = float(called.mean())
            hard = share > FIRES
        elif not truth.any():
            continue  # finer than the grid: there is nothing to find
        else:
            share = float((called & truth).sum() / truth.sum())
            hard = share < FOUND
        if hard:
            rows.append(Mined(sample.name, sample.source.kind, sample.source.path.name, share))
    return sorted(rows, key=lambda row: row.share, reverse=what == NEGATIVES)


def write_list(path: Path, rows: Sequence[Mined]) -> None:
    """As CSV with the fields of `Mined` for columns."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(Mined._fields)
    writer.writerows(row._replace(share=round(row.share, 6)) for row in rows)
    write_bytes(path, text.getvalue().encode())


def read_list(path: Path, samples: Sequence[Sample]) -> np.ndarray:
    """Which of `samples` a list names, bool[n]. Raises `CheckpointError` for a file that is no such list, or that names
    a sample there is not: it is then that of another run.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            names = {row["sample"] for row in csv.DictReader(file)}
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: not a list that `interceptor mine` writes ({error!r})") from error
    known = [sample.name for sample in samples]
    if strangers := names - set(known):
        raise CheckpointError(f"{path}: names {min(strangers)}, which is no training sample here; mine this run anew")
    return np.array([name in names for name in known], bool)
