"""Labelled pictures, forged and authentic, as one table whatever the folders look like.

One file beside this one knows the layout of each public set; `pair_folders` reads plain folders of pictures and masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from interceptor.datasets.faces import validation
from interceptor.datasets.listing import files_below
from interceptor.datasets.masks import MaskError, read_instances

SUFFIXES = frozenset((".avif", ".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"))
"""Files that are taken for pictures."""


@dataclass(frozen=True)
class Picture:
    """A picture and what is known about it."""

    path: Path
    mask_path: Path | None
    """None for an authentic picture, and for a forged one whose mask is missing."""
    label: int
    """1 = forged, 0 = authentic."""
    group: str
    """Case or original: pictures that share it must stay on the same side of a split."""
    dataset: str
    split: str | None = None
    convention: str = "binary"
    """How its mask is to be read (see `datasets.masks`)."""

    def instances(self) -> NDArray[np.bool_]:
        """The forged instances, bool[k, H, W]. Raises `MaskError`; its cause is `missing_mask` where there is none."""
        if self.mask_path is None:
            raise MaskError(self.path, "missing_mask", "no mask of this forged picture was found")
        return read_instances(self.mask_path, self.convention)


def picture_files(folder: Path, suffixes: frozenset[str] = SUFFIXES) -> list[Path]:
    """Pictures below `folder`, sorted, hidden ones left out. Raises `ValueError` where there is no such folder."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: {'this is a file, not a folder' if folder.exists() else 'no such folder'}")
    return sorted(path for path in files_below(folder) if path.suffix.lower() in suffixes)


def by_stem(folder: Path) -> dict[str, Path]:
    """Pictures and `.npy` arrays below `folder` by their path in it without suffix.

    Raises `ValueError` for a missing folder, or two files of one stem: which is meant cannot be known.
    """
    found: dict[str, Path] = {}
    for path in picture_files(folder, SUFFIXES | {".npy"}):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            raise ValueError(f"{found[stem]} and {path.name} differ in their suffix only: keep one")
        found[stem] = path
    return found


def pair_folders(
    images: Path, masks: Path, authentic: Path | None = None, convention: str = "binary"
) -> tuple[list[Picture], list[Path]]:
    """Forged pictures with the masks of the same path below `masks`, and authentic ones; the masks without a picture.

    Suffixes may differ. A forged picture without a mask is in the table, its `mask_path` None. `dataset` is the folder
    below `images` or `authentic` in which a picture lies. Raises `ValueError` for a missing folder or one without
    pictures, and as `by_stem`.
    """
    forged, of_stem = picture_files(images), by_stem(masks)
    pictures = []
    for path in forged:
        stem = path.relative_to(images).with_suffix("").as_posix()
        pictures.append(Picture(path, of_stem.pop(stem, None), 1, stem, _kind(path, images), convention=convention))
    if authentic is not None:
        pictures += authentic_pictures(authentic)
    if not forged or (authentic is not None and len(pictures) == len(forged)):
        raise ValueError(f"{authentic if forged else images}: the folder holds no pictures")
    return pictures, sorted(of_stem.values())


def authentic_pictures(folder: Path, dataset: str | None = None) -> list[Picture]:
    """Every picture below `folder`, as authentic, each a group of its own. `dataset` is by default the kind."""
    return [
        Picture(path, None, 0, path.relative_to(folder).with_suffix("").as_posix(), dataset or _kind(path, folder))
        for path in picture_files(folder)
    ]


def _kind(path: Path, root: Path) -> str:
    """The first folder below `root` in which a picture lies, or `root` itself, by its name."""
    first, *rest = path.relative_to(root).parts
    return first if rest else root.resolve().name


def need(pictures: list[Picture], root: Path) -> list[Picture]:
    """`pictures`; `ValueError` where there are none."""
    if not pictures:
        raise ValueError(f"{root}: no pictures of this layout")
    return pictures


def with_splits(pictures: Sequence[Picture], validation_share: float) -> list[Picture]:
    """The table with `val` or `train` for pictures without a split, whole groups to one side, by the group's name."""
    return [
        picture
        if picture.split
        else replace(
            picture,
            split="val" if validation(f"{picture.dataset}/{picture.group}", validation_share) else "train",
        )
        for picture in pictures
    ]
