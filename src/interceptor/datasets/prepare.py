"""`interceptor prepare NAME ROOT OUT`: the videos of a set into shards, in several processes, resumable.

Workers read, cut and encode; this process alone writes, in a fixed order, so that the shards do not depend on the
number of workers. What became of each video is noted beside the shard that it went into: a run that was killed goes on
behind the last complete shard.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from itertools import groupby
from multiprocessing import connection
from pathlib import Path
from typing import Any

import cv2

from interceptor import __version__
from interceptor.datasets.check import problems
from interceptor.datasets.lock import alone_in
from interceptor.datasets.manifest import read_notes, write_manifest, write_whole
from interceptor.datasets.packing import CONVENTION, QUALITY, Packed
from interceptor.datasets.samples import Sampling, samples_of
from interceptor.datasets.shards import MAX_BYTES, ShardWriter
from interceptor.datasets.videos import DatasetError, Table, Video
from interceptor.media import MediaError
from interceptor.media.faces import FaceDetector

PREPARED = "prepared.json"
FAILURES = "failures.csv"
AHEAD = 4
"""Videos under way for each worker."""
MEASURED = 16
"""Videos after which the space that the rest will need is known well enough."""

Result = tuple[list[Packed], dict[str, Any]]
"""The samples of a video, and what is noted about it."""


def prepare(
    table: Table,
    out: Path,
    sampling: Sampling,
    make_detector: Callable[[], FaceDetector],
    *,
    workers: int,
    max_bytes: int = MAX_BYTES,
    retry: bool = False,
    advance: Callable[[int, int, str], None] = lambda done, total, note: None,
) -> dict[str, Any]:
    """Write the samples of all videos under `out`; what is there already is not made again. Returns the summary.

    `make_detector` is called once in each worker. `retry`: try again the videos that failed before. Raises
    `DatasetError` where the set is of no use, `out` holds something else, or the disk cannot hold it, and
    `FolderBusyError` where another process is at work in `out`.
    """
    if found := list(problems(table)):
        raise DatasetError(f"{table.root}: " + "; ".join(found))
    with alone_in(out):
        _claim(out, table, sampling)
        known = _known(out, table, retry)
        todo = [video for video in mixed(table.videos) if video.name not in known]
        done, written = len(known), sum(path.stat().st_size for path in (out / "shards").glob("*.tar"))
        results = _results(todo, sampling, make_detector, workers)
        try:
            for prefix, videos in groupby(todo, prefix_of):
                with ShardWriter(out, prefix, max_bytes) as writer:
                    for _ in videos:
                        packed, note = next(results)
                        written += sum(writer.put(each).size + sum(map(len, each.talk.values())) for each in packed)
                        writer.note(**note)
                        done += 1
                        advance(done, len(table.videos), f"{written / 1e6:.0f} MB")
                        if done % MEASURED == 0:
                            _check_room(out, written / done * (len(table.videos) - done))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise DatasetError(
                f"{out}: no space left on the disk. Free some and run again: whole shards are kept"
            ) from error
        finally:
            results.close()
        return _summarise(out, table)


def _claim(out: Path, table: Table, sampling: Sampling) -> None:
    """Write what is being made into `out`, or make sure that it is the same."""
    facts = {
        "dataset": table.dataset,
        "crop": CONVENTION,
        "jpeg_quality": QUALITY,
        "sampling": asdict(sampling) | {"views": list(sampling.views)},
        "split_rule": table.split_rule,
    }
    path = out / PREPARED
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if changed := [key for key, value in facts.items() if before.get(key) != value]:
            raise DatasetError(
                f"{out}: was begun with another {', '.join(changed)}; choose a new folder, or go on as before"
            )
    else:
        write_whole(path, json.dumps({"interceptor": __version__, **facts}, indent=2) + "\n")


def _known(out: Path, table: Table, retry: bool) -> set[str]:
    """Names of the videos that are done. Raises `DatasetError` where one has changed its label or side since."""
    rows, notes = read_notes(out)
    now = {video.name: (video.label, video.split, video.chunk) for video in table.videos}
    for row in rows:
        if now.get(row.video, (row.label, row.split, row.chunk)) != (row.label, row.split, row.chunk):
            raise DatasetError(
                f"{out}: {row.video} was {row.split}, label {row.label}, chunk {row.chunk} when it was prepared, and "
                "is not any more; choose a new folder"
            )
    return {note["video"] for note in notes if not (retry and note["cause"])} & now.keys()


def mixed(videos: Sequence[Video]) -> list[Video]:
    """Shard by shard one split and chunk, both classes mixed: in a fixed order without order."""

    def place(video: Video) -> tuple[str, str]:
        return prefix_of(video), hashlib.sha256(video.name.encode()).hexdigest()

    return sorted(videos, key=place)


def prefix_of(video: Video) -> str:
    """The name of the shards that a video's samples go into."""
    return video.split if video.chunk is None else f"{video.split}-{video.chunk:02d}"


def _check_room(out: Path, needed: float) -> None:
    free = shutil.disk_usage(out).free
    if needed > free:
        raise DatasetError(
            f"{out}: the rest needs about {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free. Free some and run "
            "again, or take fewer windows, or the views of fewer specialists (--for) in a new folder"
        )


def _results(
    videos: Sequence[Video], sampling: Sampling, make_detector: Callable[[], FaceDetector], workers: int
) -> Generator[Result, None, None]:
    """The result of each video in order. A video that kills its worker is found out by itself and noted."""
    waiting = deque(videos)
    careful = 0
    while waiting:
        flight: deque[tuple[Video, Future[Result]]] = deque()
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start, (make_detector, sampling))
        try:
            while waiting or flight:
                while waiting and len(flight) < (1 if careful else AHEAD * workers):
                    flight.append((waiting[0], pool.submit(_work, waiting[0])))
                    waiting.popleft()
                result = flight[0][1].result()
                flight.popleft()
                careful = max(0, careful - 1)
                yield result
        except BrokenProcessPool:
            if careful and flight:
                video, _ = flight.popleft()
                careful -= 1
                yield (
                    [],
                    _note(video, "crashed", "the reading process ended abruptly: out of memory, or a decoder's fault"),
                )
            else:
                careful = max(1, len(flight))
                waiting.extendleft(video for video, _ in reversed(flight))
        finally:
            pool.shutdown(cancel_futures=True)


class _Worker:
    """What a process keeps between videos."""

    detector: FaceDetector
    sampling: Sampling


def _start(make_detector: Callable[[], FaceDetector], sampling: Sampling) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the writing process decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _Worker.detector = make_detector()
    _Worker.sampling = sampling


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _work(video: Video) -> Result:
    try:
        packed, counts = samples_of(video, _Worker.detector, _Worker.sampling)
    except MediaError as error:
        return [], _note(video, error.cause, error.message)
    except Exception as error:  # one video must not end the work on the others; it is noted, and counted
        return [], _note(video, "internal_error", f"please report it: {type(error).__name__}: {error}")
    if not packed:
        return [], _note(video, "no_face", "no usable face in any window", **counts)
    return packed, _note(video, "", "", samples=len(packed), **counts)


def _note(video: Video, cause: str, message: str, **counts: int) -> dict[str, Any]:
    return {"video": video.name, "label": video.label, "cause": cause, "message": message, "counts": counts}


def _summarise(out: Path, table: Table) -> dict[str, Any]:
    """Write the manifest, the list of failures, and what was counted."""
    now = {video.name for video in table.videos}
    rows = write_manifest(out)
    latest = {note["video"]: note for note in read_notes(out)[1]}
    failed = [note for note in latest.values() if note["cause"]]
    with io.StringIO(newline="") as stream:
        writer = csv.DictWriter(stream, ["video", "label", "cause", "message"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(failed)
        write_whole(out / FAILURES, stream.getvalue())
    counts: Counter[str] = Counter()
    for note in latest.values():
        counts.update(note["counts"])
    summary = {
        "videos": len(latest),
        "samples": len(rows),
        "by_split_and_label": dict(sorted(Counter(f"{row.split} {row.label}" for row in rows).items())),
        "samples_of_videos_not_in_the_set_now": sum(row.video not in now for row in rows),
        "failed_videos": len(failed),
        "failures": dict(Counter(note["cause"] for note in failed)),
        "counts": dict(sorted(counts.items())),
    }
    facts = json.loads((out / PREPARED).read_text(encoding="utf-8"))
    write_whole(out / PREPARED, json.dumps(facts | {"summary": summary}, indent=2) + "\n")
    return summary
