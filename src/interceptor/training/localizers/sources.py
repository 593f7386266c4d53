"""The pictures that localizers learn from, each on one side of the split: plain folders, and public sets by name."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from interceptor.datasets.layouts import read_layout
from interceptor.datasets.masks import MaskError, joined
from interceptor.datasets.pictures import Picture, authentic_pictures, by_stem, pair_folders
from interceptor.media.errors import MediaError
from interceptor.media.stills import read_still
from interceptor.training.localizers.data import Source

Shares = tuple[float, float]
"""Of pictures for validation and for the test."""
LeftOut = Callable[[Path, str], None]
"""Told of a picture that cannot be trained on, and why."""


def side_of(key: str, shares: Shares) -> str:
    """`val` or `test` for these shares of all names, else `train`: by the name alone."""
    place = zlib.crc32(key.encode()) / 2**32
    return "val" if place < shares[0] else "test" if place < sum(shares) else "train"


def authentic_sources(
    kind: str, folder: Path, labels: Path | None, shares: Shares, left_out: Sequence[str]
) -> list[Source]:
    """The authentic pictures below a folder; those of a kind in `left_out` are all for the test."""
    objects = by_stem(labels) if labels is not None else {}
    return [
        Source(
            picture.path,
            kind,
            "test" if kind in left_out else side_of(f"{kind}/{picture.group}", shares),
            picture.group,
            objects.get(picture.group),
        )
        for picture in authentic_pictures(folder)
    ]


def edited_sources(
    kind: str, images: Path, masks: Path, shares: Shares, told: LeftOut, group: str | None = None
) -> list[Source]:
    """Pictures edited by hand, and their masks. `group` is a pattern; pictures whose names give the same match stay on
    one side.
    """
    pictures = pair_folders(images, masks)[0]
    found = [re.search(group, picture.group) if group else None for picture in pictures]
    groups = [match[0] if match else picture.group for match, picture in zip(found, pictures, strict=True)]
    return _usable(kind, pictures, [side_of(f"{kind}/{key}", shares) for key in groups], groups, told)


def layout_sources(name: str, root: Path, shares: Shares, told: LeftOut) -> list[Source]:
    """All pictures of a public set (`datasets.layouts`): authentic ones to leave as they are and to forge from, forged
    ones as they are. Its own split counts where it has one; else its groups (cases, originals) stay on one side.
    """
    pictures = read_layout(name, root)
    sides = [picture.split or side_of(f"{name}/{picture.group}", shares) for picture in pictures]
    return _usable(name, pictures, sides, [picture.group for picture in pictures], told)


def _usable(
    kind: str, pictures: Sequence[Picture], sides: Sequence[str], groups: Sequence[str], told: LeftOut
) -> list[Source]:
    """Sources of what can be read and, if forged, has a mask of its size in which something is forged; of the others
    `told` is told.
    """
    kept = []
    for picture, side, group in zip(pictures, sides, groups, strict=True):
        try:
            size = read_still(picture.path).shape[:2]
            truth = joined(picture.instances()) if picture.label else None
        except (MediaError, MaskError) as error:
            told(picture.path, error.cause)
            continue
        if truth is not None and truth.shape != size:
            told(picture.path, "mask_size")
        elif truth is not None and not truth.any():
            told(picture.path, "empty_mask")
        else:
            kept.append(Source(picture.path, kind, side, group, mask=picture.mask_path, convention=picture.convention))
    return kept
