"""What a set holds, what it lacks, and the proof that nobody in it is on two sides of its split."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from interceptor.datasets.videos import SPLITS, Table, Video
from interceptor.media import MediaError, probe

NAMED = 5
"""How many of a list are named in a message."""


def crossings(videos: list[Video], sides: tuple[str, ...] = SPLITS) -> list[str]:
    """People, originals and groups that are on more than one of `sides`, each with the sides.

    This looks at what the set says of each video, not at how the split was made.
    """
    seen: dict[str, set[str]] = defaultdict(set)
    for video in videos:
        if video.split in sides:
            known = [f"group {video.group}", f"video {video.original or video.name}"]
            for key in (*known, *(f"person {who}" for who in video.people)):
                seen[key].add(video.split)
    return [f"{key}: {', '.join(sorted(found))}" for key, found in sorted(seen.items()) if len(found) > 1]


def problems(table: Table) -> Iterator[str]:
    """What must be put right before the set is of use."""
    labels = Counter(video.label for video in table.videos)
    for label, kind in ((0, "authentic"), (1, "forged")):
        if not labels[label]:
            yield f"no {kind} video is there: nothing can be learnt from one class"
    sides = ("train", "val") if table.test_overlaps else SPLITS
    if found := crossings(table.videos, sides):
        yield f"the split leaks: {_some(found)}"
    names = Counter(video.name for video in table.videos)
    if twice := [name for name, count in names.items() if count > 1]:
        yield f"listed twice: {_some(twice)}"
    if empty := [video.name for video in table.videos if not video.path.stat().st_size]:
        yield f"{len(empty)} files are empty: {_some(empty)}"


def remarks(table: Table) -> Iterator[str]:
    """What a user should know, though the set can be used."""
    yield from table.notes
    if table.missing:
        yield f"{len(table.missing)} listed but not there: {_some(table.missing)}"
    if table.unlisted:
        yield f"{len(table.unlisted)} there but in no list, left out: {_some(table.unlisted)}"
    counts = Counter((video.split, video.label) for video in table.videos)
    for side in SPLITS:
        for label, kind in ((0, "authentic"), (1, "forged")):
            if counts[side, label] == 0 < counts[side, 1 - label]:
                yield f"no {kind} video in {side}"
    if table.test_overlaps and (found := crossings(table.videos)):
        people = sum(line.startswith("person") for line in found)
        yield f"the published test list shares {people} people with the rest; --split seeded keeps them apart"


def unreadable(videos: list[Video], advance: Callable[[], None] = lambda: None) -> list[str]:
    """Open every file; those that cannot be read, each with the cause."""
    found = []
    for video in videos:
        try:
            probe(video.path)
        except MediaError as error:
            found.append(f"{video.name}: {error.cause}")
        advance()
    return found


def report(table: Table) -> dict[str, Any]:
    """All that is known of a set, for JSON and text."""
    counts = Counter((video.split, video.label) for video in table.videos)
    methods = Counter(video.method for video in table.videos if video.method)
    chunks = Counter(video.chunk for video in table.videos if video.chunk is not None)
    sides = ("train", "val") if table.test_overlaps else SPLITS
    return {
        "dataset": table.dataset,
        "root": str(table.root),
        "videos": len(table.videos),
        "parts": {
            name: {
                "found": found,
                "published": published,
                "complete": None if published is None else found == published,
            }
            for name, (found, published) in table.parts.items()
        },
        "label_convention": f"{table.convention}; here 1 = forged, 0 = authentic",
        "split_rule": table.split_rule,
        "splits": {
            side: {"authentic": counts[side, 0], "forged": counts[side, 1]}
            for side in SPLITS
            if counts[side, 0] + counts[side, 1]
        },
        "methods": dict(sorted(methods.items())),
        "chunks": {str(chunk): count for chunk, count in sorted(chunks.items())},
        "proof": {
            "sides": list(sides),
            "groups": len({video.group for video in table.videos}),
            "people": len({who for video in table.videos for who in video.people}),
            "originals": len({video.original for video in table.videos if video.original}),
            "crossing": crossings(table.videos, sides),
        },
        "missing": table.missing,
        "unlisted": table.unlisted,
        "remarks": list(remarks(table)),
        "problems": list(problems(table)),
    }


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
