"""How often a localizer calls authentic pictures forged, kind by kind: by that its verdict counts in a scan or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from interceptor.datasets.pictures import picture_files
from interceptor.detect.localize import Localizer
from interceptor.media.stills import read_still

AUTHENTIC = "authentic"


def false_alarms(
    localizer: Localizer, folder: Path, progress: Callable[[int, int], None] | None = None
) -> dict[str, dict[str, int]]:
    """For each kind in `folder`, laid out as KIND/authentic/PICTURE, how many pictures are `called` forged `of` how
    many; ready for a card's `false_alarms`. `progress` is told (done, in all).

    Raises `ValueError` where there are none, and `MediaError` for one that cannot be read: none is passed over.
    """
    kinds = {path.parent.name: picture_files(path) for path in sorted(folder.glob(f"*/{AUTHENTIC}")) if path.is_dir()}
    total, done = sum(map(len, kinds.values())), 0
    if not total:
        raise ValueError(f"{folder}: no pictures in KIND/{AUTHENTIC}")
    found = {}
    for kind, files in kinds.items():
        called = 0
        for file in files:
            called += localizer.localize(read_still(file)).verdict == "forged"
            done += 1
            if progress is not None:
                progress(done, total)
        found[kind] = {"called": called, "of": len(files)}
    return found
