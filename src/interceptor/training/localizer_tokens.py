"""The foundation's tokens of a plan of samples, kept on disk: what decoders are trained on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from interceptor.forges.pictures import ForgeError
from interceptor.media.tiles import fitted
from interceptor.models.foundation import WIDTH
from interceptor.models.localizer import CELLS, DEPTHS, MAP, SIDE
from interceptor.runtime.network import Network, cpu_count
from interceptor.training.checkpoints import CheckpointError, write_json
from interceptor.training.localizer_data import IGNORED, Sample, make, target

FLUSH = 32
"""Samples between two notes of how far it got."""


@dataclass(frozen=True)
class Tokens:
    """Samples, their tokens float16[n, 5, 784, 768] and targets uint8[n, 112, 112], both on disk.

    `usable` are the numbers of those that could be made: not every forge works on every picture.
    """

    samples: Sequence[Sample]
    tokens: np.ndarray
    targets: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        return np.flatnonzero((self.targets != IGNORED).any(axis=(1, 2)))


def cache_tokens(
    samples: Sequence[Sample], network: Callable[[], Network], folder: Path, advance: Callable[[int], None]
) -> Tokens:
    """Tokens of `samples`, those in `folder` not computed again. `network` opens one, of a single thread, for each
    processor.

    Raises `CheckpointError` where the tokens of another plan lie in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    described = [[sample.source.path.name, sample.forge, sample.seed] for sample in samples]
    note = folder / "done.json"
    done = 0
    if note.is_file():
        found = json.loads(note.read_text(encoding="utf-8"))
        if found["samples"] != described:
            raise CheckpointError(f"{folder}: holds the tokens of other samples; choose another folder")
        done = found["done"]
    mode = "r+" if done else "w+"
    tokens = np.lib.format.open_memmap(
        folder / "tokens.npy", mode, np.float16, (len(samples), len(DEPTHS), CELLS * CELLS, WIDTH)
    )
    targets = np.lib.format.open_memmap(folder / "targets.npy", mode, np.uint8, (len(samples), MAP, MAP))
    advance(done)
    workers = cpu_count()
    runtimes = [network() for _ in range(workers)] if done < len(samples) else []

    def fill(worker: int, numbers: Sequence[int]) -> None:
        for i in numbers[worker::workers]:
            try:
                rgb, mask = make(samples[i])
            except ForgeError:
                targets[i] = IGNORED
                continue
            tokens[i] = runtimes[worker](fitted(rgb, SIDE)[None])[0][0]
            targets[i] = target(mask)

    # A network of one thread on each processor, since threads that wait for each other idle beside other work.
    with ThreadPoolExecutor(workers) as pool:
        while done < len(samples):
            step = range(done, min(done + FLUSH, len(samples)))
            list(pool.map(fill, range(workers), [step] * workers))
            tokens.flush()
            targets.flush()
            done = step.stop
            write_json(note, {"done": done, "samples": described})
            advance(len(step))
    return Tokens(samples, tokens, targets)
