"""Face crops on disk: a folder of pictures beside an `index.csv`."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interceptor.media.crops import CROP_SIZE

LABELS = {"0": 0, "1": 1}
OPTIONAL = ("split", "source", "clip", "pair", "original", "model")


@dataclass(frozen=True)
class Crop:
    """One row of an index."""

    path: Path
    label: int
    """1 = forged, 0 = authentic."""
    dataset: str
    """Name of the folder that holds the index."""
    split: str | None = None
    source: str | None = None
    """Who made or published the clip."""
    clip: str | None = None
    """The clip it was cut from."""
    pair: str | None = None
    """A forgery and what it was made from share it."""
    original: str | None = None
    """The authentic video that it shows or was forged from."""
    model: str | None = None
    """What forged it."""

    @property
    def origin(self) -> str:
        """What a forgery shares with its own original."""
        return self.pair or self.original or self.clip or self.path.stem

    @property
    def maker(self) -> str:
        return self.source or self.dataset


def read_index(path: str | Path, split: str | None = None) -> list[Crop]:
    """The rows of a CSV index, in its order; only those whose column `split` says `split`, if given.

    `path` is the index, or a folder that holds an `index.csv`. Columns: `path` (relative to the index) and `label` (1
    = forged, 0 = authentic); optional those of `OPTIONAL`, of which an empty cell is None. Whether the pictures exist
    is not asked here.

    Raises `ValueError`, naming the file and the line, for a missing index or column, any other label, an empty path,
    text that is not UTF-8, or no row (in that split).
    """
    index = Path(path)
    if index.is_dir():
        index /= "index.csv"
    crops: list[Crop] = []
    splits: Counter[str] = Counter()
    required = {"path", "label"} if split is None else {"path", "label", "split"}
    try:
        with index.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            columns = rows.fieldnames or []
            if missing := sorted(required - set(columns)):
                raise ValueError(f"{index}: no column {', '.join(missing)} among {', '.join(columns) or 'none'}")
            for row in rows:
                cells = {name: (row.get(name) or "").strip() for name in ("path", "label", *OPTIONAL)}
                where = f"{index}, line {rows.line_num}"
                if cells["label"] not in LABELS:
                    raise ValueError(f"{where}: label {cells['label']!r} is neither 1 (forged) nor 0 (authentic)")
                if not cells["path"]:
                    raise ValueError(f"{where}: the path is empty")
                splits[cells["split"]] += 1
                if split is None or cells["split"] == split:
                    crops.append(
                        Crop(
                            index.parent / cells["path"],
                            LABELS[cells["label"]],
                            index.parent.resolve().name,
                            **{name: cells[name] or None for name in OPTIONAL},
                        )
                    )
    except FileNotFoundError:
        raise ValueError(f"{index}: no such file; an index is a CSV with columns path,label") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{index}: not a CSV file in UTF-8: {error}") from error
    if not crops:
        of_split = f" in split {split!r}; it has {', '.join(map(repr, splits)) or 'none'}" if split is not None else ""
        raise ValueError(f"{index}: no crops{of_split}")
    return crops


def read_crop(path: Path) -> tuple[NDArray[np.uint8], bool]:
    """The picture as RGB uint8[224, 224, 3], and whether it had to be resized to that.

    Raises `FileNotFoundError`, or `OSError` naming the file where it is not a readable picture.
    """
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except FileNotFoundError:
        raise
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
    ) as error:  # what Pillow raises on broken files
        raise OSError(f"{path}: not a readable picture: {error}") from error
    resized = picture.size != (CROP_SIZE, CROP_SIZE)
    if resized:
        picture = picture.resize((CROP_SIZE, CROP_SIZE), Image.Resampling.LANCZOS)
    return np.asarray(picture), resized
