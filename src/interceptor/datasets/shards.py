"""Prepared samples on disk: tar shards in the webdataset convention, and one manifest with a row for each sample.

A folder holds `manifest.csv`, `prepared.json` (how the samples were made) and `shards/*.tar`. A sample is the run of
members `KEY.*` of one shard, in this order:

`KEY.json`
    landmarks, times, what the sample holds
`KEY.crop.jpg`, `KEY.context.jpg`, `KEY.prev.jpg`, `KEY.next.jpg`
    aligned crop, context crop, neighbours; JPEG of quality 98 without chroma subsampling
`KEY.native.png`
    the frame's own pixels on the codec's grid. PNG, because a second lossy compression would write its own traces
    over those that the lens at native resolution looks for
`KEY.mouth.npy`, `KEY.sound.wav`, `KEY.talk.json`
    with the first sample of a window only; the window's other samples refer to it in the manifest

The manifest says where in its shard a sample lies, so that any of them is read by itself, without a scan of the tar.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import wave
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import cv2

from interceptor.datasets.manifest import Row, ShardError, cells_of, read_manifest, write_manifest, write_whole
from interceptor.datasets.packing import Packed, pack, unpack
from interceptor.media.clips import FaceClip, Mouth, Sound

__all__ = ["Row", "ShardError", "ShardWriter", "Shards"]

MAX_BYTES = 256 * 1024**2
"""A shard is closed once it is larger. A run that is killed loses at most what is in its open shard."""


class ShardWriter:
    """Writes samples into shards `PREFIX-00000.tar`, `PREFIX-00001.tar`, ... of a folder; a context manager.

    A shard is written under a temporary name and renamed when it is complete; beside it, `shards/PREFIX-00000.json`
    says what it holds, and a shard without that file does not count. Samples of one video stay in one shard. Closing
    brings the rows of all complete shards of the folder together in `manifest.csv`.
    """

    def __init__(self, folder: str | Path, prefix: str, max_bytes: int = MAX_BYTES) -> None:
        self.folder = Path(folder)
        self.prefix = prefix
        self._max_bytes = max_bytes
        self._shards = self.folder / "shards"
        self._shards.mkdir(parents=True, exist_ok=True)
        self._rows: list[Row] = []
        self._notes: list[dict[str, Any]] = []
        self._file: io.BufferedWriter | None = None
        self._talk_of: tuple[Mouth | None, Sound | None] = (None, None)
        self._talk_place = (0, 0)

    def write(self, row: Row, clip: FaceClip) -> Row:
        """Add a clip of one crop; consecutive clips that share their mouth and sound objects store them once.

        Returns the row with what is known now: `views` and the place.
        """
        self._make_room(row)
        talk = (clip.mouth, clip.sound)
        known = any(talk) and all(new is old for new, old in zip(talk, self._talk_of, strict=True))
        row = self.put(pack(row, clip, talk=not known))
        self._talk_of = talk
        return row

    def put(self, packed: Packed) -> Row:
        """Add a sample packed elsewhere, in another process for instance."""
        self._make_room(packed.row)
        file = self._open()
        row = replace(packed.row, shard=self._name, offset=file.tell())
        self._add(row.key, packed.members)
        row = replace(row, size=file.tell() - row.offset)
        if packed.talk:
            start = file.tell()
            self._add(row.key, packed.talk)
            self._talk_place = (start, file.tell() - start)
        if {"mouth", "sound"} & set(row.views.split()):
            row = replace(row, talk_offset=self._talk_place[0], talk_size=self._talk_place[1])
        self._rows.append(row)
        return row

    def note(self, **facts: Any) -> None:
        """Keep something beside the samples, in the JSON of the shard that is being written."""
        self._notes.append(facts)

    def finish(self) -> None:
        """Complete the open shard, if there is one."""
        if self._file is not None:
            self._tar.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
            self._part.replace(self._shards / self._name)
        if self._rows or self._notes:
            facts = {"rows": [cells_of(row) for row in self._rows], "notes": self._notes}
            write_whole(self._shards / f"{self._free_name()}.json", json.dumps(facts))
        self._rows, self._notes = [], []
        self._talk_of, self._talk_place = (None, None), (0, 0)

    def close(self) -> None:
        self.finish()
        write_manifest(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        elif self._file is not None:
            self._file.close()
            self._part.unlink(missing_ok=True)

    def _make_room(self, row: Row) -> None:
        if self._file is None or self._file.tell() < self._max_bytes or self._rows[-1].video == row.video:
            return
        self.finish()

    def _free_name(self) -> str:
        number = 0
        while (self._shards / f"{self.prefix}-{number:05d}.json").exists():
            number += 1
        return f"{self.prefix}-{number:05d}"

    def _open(self) -> io.BufferedWriter:
        if self._file is None:
            self._name = f"{self._free_name()}.tar"
            self._part = self._shards / f".{self._name}.part"
            self._file = self._part.open("wb")
            self._tar = tarfile.TarFile(fileobj=self._file, mode="w", format=tarfile.USTAR_FORMAT)
        return self._file

    def _add(self, key: str, members: dict[str, bytes]) -> None:
        for suffix, data in members.items():
            info = tarfile.TarInfo(f"{key}.{suffix}")
            info.size = len(data)
            self._tar.addfile(info, io.BytesIO(data))


class Shards:
    """The samples of a prepared folder, any of them at once. It may be pickled to other processes: no file stays open.

    Raises `ShardError` where the manifest or a shard that it names is missing or too short.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.rows: list[Row] = read_manifest(self.folder)
        facts = self.folder / "prepared.json"
        self.prepared: dict[str, Any] = json.loads(facts.read_text(encoding="utf-8")) if facts.is_file() else {}
        ends: dict[str, int] = {}
        for row in self.rows:
            ends[row.shard] = max(ends.get(row.shard, 0), row.offset + row.size, row.talk_offset + row.talk_size)
        for name, end in ends.items():
            path = self.folder / "shards" / name
            if not path.is_file():
                raise ShardError(f"{path}: missing, though the manifest names it; prepare the folder again")
            if path.stat().st_size < end:
                raise ShardError(f"{path}: cut short ({path.stat().st_size} of at least {end} bytes); copy it again")

    def __len__(self) -> int:
        return len(self.rows)

    def select(
        self, split: str | None = None, chunk: int | None = None, keep: Callable[[Row], bool] = lambda row: True
    ) -> Shards:
        """The samples of a split, of a chunk, and for which `keep` is true."""
        view = object.__new__(Shards)
        view.folder, view.prepared = self.folder, self.prepared
        view.rows = [
            row for row in self.rows if split in (None, row.split) and chunk in (None, row.chunk) and keep(row)
        ]
        return view

    def read(self, index: int, views: Iterable[str] | None = None) -> FaceClip:
        """The clip of one crop in row `index`, with all that was stored of it, or only these `views` of it.

        Raises `ShardError` where the shard does not hold the sample any more.
        """
        row = self.rows[index]
        wanted = set(row.views.split())
        if views is not None:
            wanted &= set(views)
        path = self.folder / "shards" / row.shard
        try:
            with path.open("rb") as file:
                found = _members(file, row.offset, row.size)
                if wanted & {"mouth", "sound"}:
                    found |= _members(file, row.talk_offset, row.talk_size)
            facts = json.loads(found["json"])
            if facts["key"] != row.key:
                raise ShardError(f"{path}: holds {facts['key']} where {row.key} should be; prepare the folder again")
            return unpack(facts, found, wanted)
        except ShardError:
            raise
        except (OSError, EOFError, KeyError, ValueError, tarfile.TarError, wave.Error, cv2.error) as error:
            raise ShardError(f"{path}: sample {row.key} cannot be read ({error}); prepare it again") from error


def _members(file: io.BufferedReader, offset: int, size: int) -> dict[str, bytes]:
    """The members in a stretch of a tar, by suffix."""
    file.seek(offset)
    with tarfile.TarFile(fileobj=io.BytesIO(file.read(size))) as tar:
        return {info.name.split(".", 1)[1]: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]
