"""Plain folders `real/` and `fake/` of videos or pictures, alone or below `train/`, `val/` and `test/`."""

from __future__ import annotations

from pathlib import Path

from interceptor.datasets.pictures import SUFFIXES as PICTURES
from interceptor.datasets.videos import SPLITS, SUFFIXES, Choice, DatasetError, Table, Video, video_files

KINDS = {"real": 0, "fake": 1}


def read_folders(root: Path, choice: Choice) -> Table:
    """Files of equal path and stem in `real/` and `fake/` are taken for an original and its forgery, and stay together.

    Folders `train`, `val`, `test` are the split; without them one is made. Raises `DatasetError`.
    """
    table = Table("folders", root, [], "by folder: fake forged, real authentic")
    divided = [side for side in SPLITS if (root / side).is_dir()]
    if divided and choice.split == "official":
        table.split_rule = f"by folder: {', '.join(divided)}"
    for side in divided or [""]:
        for kind, label in KINDS.items():
            folder = root / side / kind
            if not folder.is_dir():
                raise DatasetError(
                    f"{folder}: missing; files belong into real/ and fake/, in each of {divided or root}"
                )
            files = video_files(folder, SUFFIXES | PICTURES, below=True)
            table.parts[f"{side}/{kind}".strip("/")] = len(files), None
            for path in files:
                split = side if choice.split == "official" else ""
                group = path.relative_to(folder).with_suffix("").as_posix()
                name = path.relative_to(root).as_posix()
                method = "fake" if label else ""
                table.videos.append(Video(path, name, label, "folders", method, group=group, split=split))
    return table
