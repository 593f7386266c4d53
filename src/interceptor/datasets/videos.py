"""Labelled videos as one table, whatever the folders look like; one file beside this one for each public set.

An adapter says of every file what its set tells: label, method, who is seen in it, what it was made from, the official
split. What follows from that is the same for all and made here: identity groups, and a split for what has none.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

SUFFIXES = frozenset((".avi", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"))
"""Files that are taken for videos."""
SPLITS = ("train", "val", "test")
SHARES = (0.8, 0.1, 0.1)
"""Of a split that is made here: train, val, test."""
SEED = 0
LARGE = 0.02
"""Groups with at least this share of the videos are dealt out one by one, smaller ones by their name alone."""


@dataclass(frozen=True)
class Video:
    """A labelled file (a video; in plain folders and tables a picture too)."""

    path: Path
    name: str
    """path below the set's root, with slashes"""
    label: int
    """1 = forged, 0 = authentic"""
    dataset: str
    method: str = ""
    """what forged it, the set's own word; empty for an authentic one"""
    compression: str = ""
    people: tuple[str, ...] = ()
    """who is seen in it and whose face was put there, as far as the set tells"""
    original: str = ""
    """`name` of the authentic file it was made from, where the set tells"""
    group: str = ""
    """identity group: videos joined by a person or by an original"""
    split: str = ""
    """train, val or test"""
    chunk: int | None = None
    """part of the set that is trained on by itself"""


@dataclass(frozen=True)
class Choice:
    """What a user may choose about a set."""

    split: str = "official"
    """`official`: as published, where the set has one; `seeded`: made here, no identity on two sides"""
    compression: str | None = None
    """FaceForensics++: raw (or c0), c23 or c40"""
    splits: Path | None = None
    """FaceForensics++: folder of the official split files, where they are not below the root"""
    chunks: int | None = None
    """DFDC, tables: fold the parts into so many chunks (chunk = part modulo this); else every part is a chunk"""
    without: tuple[str, ...] = ()
    """methods to leave out"""


@dataclass
class Table:
    """A set as found on disk."""

    dataset: str
    root: Path
    videos: list[Video]
    convention: str
    """how the set marks what is forged, in words"""
    split_rule: str = ""
    """where the split comes from, in words"""
    parts: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    """videos found and published, by part of the set"""
    missing: list[str] = field(default_factory=list)
    """named in the set's lists, but not there"""
    unlisted: list[str] = field(default_factory=list)
    """there, but in no list of the set: left out"""
    notes: list[str] = field(default_factory=list)
    """what else a user should know"""
    shares: tuple[float, float, float] = SHARES
    """of a split made here, for the videos that have none: train, val, test"""
    test_overlaps: bool = False
    """people of the published test list are also seen outside of it, and that is as published"""


class DatasetError(ValueError):
    """Folders that are not the set they should be, or labels that contradict one another."""


Read = Callable[[Path, Choice], Table]
"""An adapter. It raises `DatasetError`."""


def video_files(folder: Path, suffixes: frozenset[str] = SUFFIXES, *, below: bool = False) -> list[Path]:
    """Videos in `folder` (and in those below it), sorted, hidden ones left out; none where there is no such folder."""
    if not folder.is_dir():
        return []
    found = folder.rglob("*") if below else folder.iterdir()
    return sorted(path for path in found if path.suffix.lower() in suffixes and path.name[0] != ".")


def components(links: Iterable[Sequence[str]]) -> dict[str, str]:
    """Names that are linked, directly or over others, share one value: the first of them in order (union-find)."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for first, *others in links:
        low = root(first)
        for other in others:
            high = root(other)
            low, high = min(low, high), max(low, high)
            parent[high] = low
    return {name: root(name) for name in parent}


def grouped(videos: Sequence[Video]) -> list[Video]:
    """The videos with their identity groups: joined by people, by originals, and by a group that is known already."""

    def links(video: Video) -> list[str]:
        known = [f"person {who}" for who in video.people] + ([f"group {video.group}"] if video.group else [])
        return [f"video {video.name}", *([f"video {video.original}"] if video.original else []), *known]

    group_of = components(links(video) for video in videos)
    return [replace(video, group=group_of[f"video {video.name}"].split(" ", 1)[1]) for video in videos]


def seeded(videos: Sequence[Video], shares: Sequence[float] = SHARES, seed: int = SEED) -> list[Video]:
    """The videos, those without a split put on a side together with their whole group.

    Small groups are placed by their name alone, so that they stay where they are when a set grows. Large ones are dealt
    out one by one, each to the side where the numbers of both classes then deviate least from `shares`, and so that no
    side stays without a class where there are groups enough.
    """
    open_videos = [video for video in videos if not video.split]
    members: dict[str, Counter[int]] = defaultdict(Counter)
    for video in open_videos:
        members[video.group][video.label] += 1
    total: Counter[int] = sum(members.values(), Counter())
    have: dict[str, Counter[int]] = {side: Counter() for side in SPLITS}
    side_of: dict[str, str] = {}

    def cost(side: str, share: float, group: Counter[int]) -> float:
        """How much the group adds to the chi-square distance between the numbers there and those wanted."""
        wanted = {label: share * total[label] for label in group}
        return sum(n * (n + 2 * (have[side][label] - wanted[label])) / wanted[label] for label, n in group.items())

    # Groups with both classes first; `like` counts those to come that hold the same classes.
    ordered = sorted(members.items(), key=lambda item: (-len(item[1]), -item[1].total(), _place(item[0], seed)))
    like = Counter(frozenset(group) for _, group in ordered)
    for name, group in ordered:
        if group.total() >= LARGE * total.total():
            sides = {side: share for side, share in zip(SPLITS, shares, strict=True) if share}
            lacking = {side: share for side, share in sides.items() if group.keys() - have[side].keys()}
            if like[frozenset(group)] <= len(lacking):  # the last ones: otherwise a side would stay without a class
                sides = lacking
            costs = {side: cost(side, share, group) for side, share in sides.items()}
            side_of[name] = min(costs, key=lambda side: costs[side])
            have[side_of[name]] += group
        else:
            place = _place(name, seed)
            side_of[name] = SPLITS[sum(place >= sum(shares[: i + 1]) for i in range(len(SPLITS) - 1))]
        like[frozenset(group)] -= 1
    return [video if video.split else replace(video, split=side_of[video.group]) for video in videos]


def _place(name: str, seed: int) -> float:
    """0..1, even over names."""
    return int(hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()[:8], 16) / 2**32
