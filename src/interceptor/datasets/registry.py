"""Public sets of videos by name; forged pictures have theirs in `layouts`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from interceptor.datasets.celebdf import read_celebdf, read_celebdf_v1
from interceptor.datasets.dfdc import read_dfdc
from interceptor.datasets.dfdc_preview import read_dfdc_preview
from interceptor.datasets.faceforensics import read_faceforensics
from interceptor.datasets.fakeavceleb import read_fakeavceleb
from interceptor.datasets.folders import read_folders
from interceptor.datasets.table import read_table
from interceptor.datasets.videos import Choice, DatasetError, Read, Table, grouped, seeded


@dataclass(frozen=True)
class VideoSet:
    name: str
    read: Read
    about: str


SETS = {
    each.name: each
    for each in (
        VideoSet("faceforensics", read_faceforensics, "FaceForensics++ and DFD, as published or flat"),
        VideoSet("celebdf", read_celebdf, "Celeb-DF v2"),
        VideoSet("celebdf_v1", read_celebdf_v1, "Celeb-DF v1"),
        VideoSet("dfdc", read_dfdc, "DFDC: training parts, or the test set"),
        VideoSet("dfdc_preview", read_dfdc_preview, "the preview of DFDC"),
        VideoSet("fakeavceleb", read_fakeavceleb, "FakeAVCeleb"),
        VideoSet("folders", read_folders, "plain folders real/ and fake/"),
        VideoSet("csv", read_table, "a CSV with columns path,label"),
    )
}


def video_set(name: str) -> VideoSet:
    """Raises `DatasetError`, listing all names, for any other."""
    if name not in SETS:
        raise DatasetError(f"no data set {name!r}; there are {', '.join(SETS)}")
    return SETS[name]


def read_set(name: str, root: Path, choice: Choice | None = None) -> Table:
    """The table of a set on disk, with identity groups and splits. Raises `DatasetError`."""
    choice = choice or Choice()
    if not root.exists():
        raise DatasetError(f"{root}: no such folder")
    table = video_set(name).read(root, choice)
    if unknown := set(choice.without) - {video.method for video in table.videos}:
        methods = ", ".join(sorted({video.method for video in table.videos if video.method})) or "none"
        raise DatasetError(f"{root}: no method {', '.join(sorted(unknown))}; there are {methods}")
    videos = grouped([video for video in table.videos if video.method not in choice.without])
    if any(not video.split for video in videos):
        made = f"made here, whole identity groups to one side, {'/'.join(f'{share:g}' for share in table.shares)}"
        table.split_rule = "; ".join(filter(None, (table.split_rule, made)))
    return replace(table, videos=seeded(videos, table.shares))
