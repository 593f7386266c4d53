"""Tokens of a frozen backbone, computed once for each row of a prepared folder and kept on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from interceptor.datasets.manifest import MANIFEST
from interceptor.models.backbones import Backbone
from interceptor.models.branches import GRID
from interceptor.training.checkpoints import sha256
from interceptor.training.stages.recipe import Recipe
from interceptor.training.stages.snapshots import guarded


class TokenStore:
    """Tokens float16[rows, 49, width] in `NAME.npy`, and in `NAME.known.npy` which of them are there.

    A row's tokens are written before it is marked as known, so that a run that was killed leaves none half done. The
    file is sparse: it takes the room of the rows that are known. Raises `CheckpointError` where the disk is full.
    """

    def __init__(self, folder: Path, name: str, rows: int, width: int, compute: Callable[[Tensor], Tensor]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._compute = compute
        self._path = folder / f"{name}.npy"
        self._tokens = _mapped(self._path, np.float16, (rows, GRID * GRID, width))
        self._known = _mapped(folder / f"{name}.known.npy", np.bool_, (rows,))

    def __call__(self, rows: Tensor, crops: Tensor) -> Tensor:
        """Tokens float32[n, 49, width] of `crops` uint8[n, 3, 224, 224], which are those of `rows` int64[n]."""
        places = rows.cpu().numpy()
        new = np.flatnonzero(~self._known[places])
        if len(new):
            found = self._compute(crops[torch.from_numpy(new).to(crops.device)])
            guarded(self._write, self._path, (places[new], found.half().cpu().numpy()))
            self._known[places[new]] = True
        return torch.from_numpy(self._tokens[places]).float().to(crops.device)

    def _write(self, path: Path, found: tuple[np.ndarray, np.ndarray]) -> None:
        """By the file, not by the map: where the disk is full, that is an error and not the end of the process."""
        with path.open("r+b") as file:
            for place, tokens in zip(*found, strict=True):
                file.seek(self._tokens.offset + int(place) * self.row_bytes)
                file.write(tokens.tobytes())

    @property
    def row_bytes(self) -> int:
        return self._tokens[:1].nbytes

    def room(self, rows: Sequence[int]) -> int:
        """Bytes that the tokens of those of `rows` will take that are not there yet."""
        return int((~self._known[list(rows)]).sum()) * self.row_bytes


def open_tokens(data: Path, rows: int, backbone: Backbone, recipe: Recipe, device: torch.device) -> TokenStore:
    """The tokens of the prepared folder `data`, of `rows` rows: of this `backbone`, which is put on `device`, and of
    crops enhanced as the recipe says. A folder that was prepared anew, or backbone of other weights, has others.
    """
    digest = hashlib.sha256(",".join((sha256(data / MANIFEST), recipe.backbone, *recipe.preprocessing)).encode())
    for name, tensor in backbone.state_dict().items():
        digest.update(name.encode() + tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    backbone = backbone.to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def compute(crops: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return backbone(crops)[0].float()

    return TokenStore(data / "tokens", digest.hexdigest()[:16], rows, backbone.width, compute)


def _mapped(path: Path, kind: type, shape: tuple[int, ...]) -> np.memmap:
    if not path.is_file():  # of several processes the first one's file counts, whole
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        np.lib.format.open_memmap(part, "w+", kind, shape)
        with suppress(FileExistsError):
            os.link(part, path)
        part.unlink()
    return np.lib.format.open_memmap(path, "r+")
