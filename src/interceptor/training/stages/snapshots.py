"""A run's checkpoints: the last three, from any of which it goes on as if never stopped, and the best.

    checkpoints/step-00000400.safetensors            weights
    checkpoints/step-00000400.optimizer.safetensors  Adam's moments, averaged weights
    checkpoints/step-00000400.json                   place in the run, history, recipe, and the SHA-256 of both files
    best.safetensors, best.json                      weights that measured best on validation, and what they are

Each file is written whole or not at all, the JSON last: a checkpoint without it does not exist.
"""

from __future__ import annotations

import errno
import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from interceptor.training.checkpoints import CheckpointError, sha256, write_bytes, write_json

KEPT = 3
SUFFIXES = (".safetensors", ".safetensors.gz")

Tensors = dict[str, Tensor]


def write_weights(path: Path, tensors: Tensors, facts: dict[str, Any], compress: bool = False) -> Path:
    """Write `tensors` at `path` (which ends in .safetensors, `.gz` is added where compressed) and `facts` beside them
    as JSON, with the checksum. Returns the file. Raises `CheckpointError` where the disk is full.
    """
    file = _written(path, tensors, compress)
    other = next(path.with_name(path.stem + suffix) for suffix in SUFFIXES if path.stem + suffix != file.name)
    other.unlink(missing_ok=True)
    guarded(write_json, side_file(file), {**facts, "sha256": {file.name: sha256(file)}})
    return file


def read_weights(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """What `write_weights` wrote. Raises `CheckpointError` where a file is missing or damaged."""
    facts = read_facts(path)
    return _read(path, facts["sha256"]), facts


def read_facts(path: Path) -> dict[str, Any]:
    """The JSON beside a file of weights. Raises `CheckpointError`."""
    try:
        return json.loads(side_file(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{side_file(path)}: no such file; a checkpoint is its weights and this JSON") from None
    except ValueError as error:
        raise CheckpointError(f"{side_file(path)}: damaged ({error})") from error


def side_file(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".gz").removesuffix(".safetensors") + ".json")


def find(path: Path) -> Path | None:
    """The file `path` (which ends in .safetensors), plain or compressed; None where there is neither."""
    return next((file for suffix in SUFFIXES if (file := path.with_name(path.stem + suffix)).is_file()), None)


class Snapshots:
    """The checkpoints in one folder."""

    def __init__(self, folder: Path, compress: bool, remark: Callable[[str], None]) -> None:
        self.folder, self.compress, self.remark = folder, compress, remark

    def save(self, step: int, weights: Tensors, optimizer: Tensors, facts: dict[str, Any]) -> None:
        """Write the checkpoint of `step`, then drop the oldest beyond those that are kept."""
        name = f"step-{step:08d}"
        files = [
            _written(self.folder / f"{name}.safetensors", weights, self.compress),
            _written(self.folder / f"{name}.optimizer.safetensors", optimizer, self.compress),
        ]
        sums = {file.name: sha256(file) for file in files}
        guarded(write_json, self.folder / f"{name}.json", {**facts, "sha256": sums})
        for old in self._names()[KEPT:]:
            self._drop(old)

    def last(self) -> tuple[Tensors, Tensors, dict[str, Any]] | None:
        """Weights, optimizer and facts of the newest whole checkpoint; None where there has been none.

        A damaged one is said to be so, and the one before it is used. Raises `CheckpointError` where all are damaged.
        """
        names = self._names()
        for place, name in enumerate(names):
            try:
                facts = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
                sums = facts["sha256"]
                weights, optimizer = (_read(self.folder / file, sums) for file in sums)
            except (CheckpointError, ValueError, KeyError) as error:
                before = f"; going on from {names[place + 1]} before it" if place + 1 < len(names) else ""
                self.remark(f"checkpoint {name} is damaged ({error}){before}")
                continue
            for newer in names[:place]:
                self._drop(newer)
            return weights, optimizer, facts
        if names:
            raise CheckpointError(f"{self.folder}: none of {len(names)} checkpoints is whole; choose a new --out")
        return None

    def _names(self) -> list[str]:
        """Newest first."""
        return sorted((file.stem for file in self.folder.glob("step-*.json")), reverse=True)

    def _drop(self, name: str) -> None:
        (self.folder / f"{name}.json").unlink(missing_ok=True)  # first: what is left does not count any more
        for file in self.folder.glob(f"{name}.*"):
            file.unlink(missing_ok=True)


def check_room(folder: Path, bytes_needed: int, what: str) -> None:
    """Raises `CheckpointError` where the disk of `folder` has less than `bytes_needed` left for `what`."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < bytes_needed:
        raise CheckpointError(
            f"{folder}: {free / 1e9:.1f} GB free, {bytes_needed / 1e9:.1f} GB needed for {what}; "
            "make room or choose another folder"
        )


def _written(path: Path, tensors: Tensors, compress: bool) -> Path:
    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    if compress:
        path, data = path.with_name(f"{path.name}.gz"), gzip.compress(data, 1, mtime=0)
    guarded(write_bytes, path, data)
    return path


def guarded(write: Callable[[Path, Any], None], path: Path, value: Any) -> None:
    """`write` what there is to `path`. Raises `CheckpointError` where the disk is full or forbids it."""
    try:
        write(path, value)
    except OSError as error:
        why = "no room left on the disk" if error.errno == errno.ENOSPC else error.strerror
        raise CheckpointError(f"{path}: cannot be written: {why}; the checkpoints before it are whole") from error


def _read(path: Path, sums: dict[str, str]) -> Tensors:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    if sha256(path) != sums.get(path.name):
        raise CheckpointError(f"{path}: cut short or changed: its checksum is not the one in its JSON")
    data = path.read_bytes()
    try:
        return load(gzip.decompress(data) if path.suffix == ".gz" else data)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a safetensors file ({error})") from error
