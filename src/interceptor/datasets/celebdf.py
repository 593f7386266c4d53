"""Celeb-DF v2 and v1 (Li et al., CVPR 2020).

`Celeb-real/id0_0000.mp4`, `YouTube-real/00170.mp4`, `Celeb-synthesis/id0_id1_0000.mp4` (id0 with the face of id1, made
from `Celeb-real/id0_0000.mp4`); some copies put `videos/` in between. `List_of_testing_videos.txt` marks **real as 1**,
the opposite of this project: labels are taken from the folder, and the list must agree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from interceptor.datasets.videos import Choice, DatasetError, Table, Video, video_files

TEST_LIST = "List_of_testing_videos.txt"
CONVENTION = "by folder: Celeb-synthesis forged; the test list's 1 = real and 0 = fake are turned"
NAME = re.compile(r"(?P<target>id\d+)(_(?P<donor>id\d+))?_(?P<index>\d+)")


@dataclass(frozen=True)
class Version:
    name: str
    published: dict[str, int]
    """by folder"""
    tested: tuple[int, int]
    """authentic and forged videos of the test list"""


V2 = Version("celebdf", {"Celeb-real": 590, "YouTube-real": 300, "Celeb-synthesis": 5639}, (178, 340))
V1 = Version("celebdf_v1", {"Celeb-real": 158, "YouTube-real": 250, "Celeb-synthesis": 795}, (38, 62))


def read_celebdf(root: Path, choice: Choice) -> Table:
    return _read(root, choice, V2)


def read_celebdf_v1(root: Path, choice: Choice) -> Table:
    return _read(root, choice, V1)


def _read(root: Path, choice: Choice, version: Version) -> Table:
    """The published test list is the test split; the rest is divided into train and val by people.

    The list shares people with the rest. A split by people throughout is the choice `seeded`.
    """
    table = Table(version.name, root, [], CONVENTION)
    for name, published in version.published.items():
        folder = root / name
        files = video_files(folder) + video_files(folder / "videos")
        table.parts[name] = len(files), published
        if len(files) > published:
            raise DatasetError(f"{folder}: {len(files)} videos, {version.name} has {published}: is it another version?")
        table.videos += [_video(path, root, name, version) for path in files]
    if not table.videos:
        raise DatasetError(f"{root}: no videos in {', '.join(version.published)}")
    if choice.split == "official":
        table.videos = _official(table, version)
    return table


def _video(path: Path, root: Path, folder: str, version: Version) -> Video:
    label = int(folder == "Celeb-synthesis")
    name, original = path.relative_to(root).as_posix(), ""
    people: tuple[str, ...] = ()
    if folder != "YouTube-real":
        named = NAME.fullmatch(path.stem)
        if named is None or bool(named["donor"]) != bool(label):
            form = ("id0_0000.mp4", "id0_id1_0000.mp4")[label]
            raise DatasetError(f"{path}: videos in {folder} are named like {form}; is this file of the set?")
        people = (named["target"], named["donor"]) if label else (named["target"],)
        if label:
            original = name.replace("Celeb-synthesis", "Celeb-real").replace(f"_{named['donor']}_", "_")
    return Video(path, name, label, version.name, folder if label else "", people=people, original=original)


def _official(table: Table, version: Version) -> list[Video]:
    listed = _test_list(table.root)
    there = {video.name.replace("/videos/", "/"): video for video in table.videos}
    if len(there) < len(table.videos):
        raise DatasetError(f"{table.root}: some videos are there twice, with and without videos/ in between")
    for name, label in listed.items():
        if name in there and there[name].label != label:
            raise DatasetError(
                f"{table.root / TEST_LIST}: calls {name} {'forged' if label else 'real'}, against its folder. In this "
                "list 1 is real and 0 is fake; get the published one again"
            )
    table.missing = sorted(listed.keys() - there.keys())
    counts = tuple(sum(value == label for value in listed.values()) for label in (0, 1))
    if counts != version.tested:
        table.notes.append(
            f"{TEST_LIST} names {counts[0]} authentic and {counts[1]} forged videos, the published one "
            f"{version.tested[0]} and {version.tested[1]}"
        )
    table.split_rule = f"test: {TEST_LIST} as published; the rest by people into train and val"
    table.shares, table.test_overlaps = (0.9, 0.1, 0.0), True
    return [replace(video, split="test") if key in listed else video for key, video in there.items()]


def _test_list(root: Path) -> dict[str, int]:
    """The label, in our sense, of each video that the list names."""
    path = root / TEST_LIST
    if not path.is_file():
        raise DatasetError(f"{path}: missing. Copy it from the data set, or make a split by people: --split seeded")
    found: dict[str, int] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        label, _, name = line.strip().partition(" ")
        if label not in ("0", "1") or not name:
            raise DatasetError(f"{path}, line {number}: not `<1 for real, 0 for fake> <folder>/<name>`: {line!r}")
        found[name.strip().replace("/videos/", "/")] = 1 - int(label)
    return found
