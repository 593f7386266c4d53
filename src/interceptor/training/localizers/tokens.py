"""The foundation's tokens of samples, kept on disk: what decoders are trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from interceptor.forges.pictures import ForgeError
from interceptor.media.tiles import fitted
from interceptor.models.localizer import MAP, SIDE
from interceptor.runtime.network import Network, cpu_count
from interceptor.training.checkpoints import read_tensors, write_tensors
from interceptor.training.localizers.data import IGNORED, Sample, make, target


@dataclass(frozen=True)
class Tokens:
    """Samples, a file for each that holds its `tokens` float16[5, 784, 768], and their targets uint8[n, 112, 112]."""

    samples: Sequence[Sample]
    files: Sequence[Path]
    targets: np.ndarray

    def batch(self, chosen: np.ndarray) -> tuple[Tensor, Tensor]:
        """Tokens float16`[k, 5, 784, 768]` and targets uint8`[k, 112, 112]` of the samples with these numbers."""
        tokens = torch.stack([read_tensors(self.files[i])["tokens"] for i in chosen])
        return tokens, torch.from_numpy(self.targets[chosen])


def cache_tokens(
    samples: Sequence[Sample], network: Callable[[], Network], folder: Path, advance: Callable[[int], None]
) -> Tokens:
    """Tokens of `samples`; those in `folder` are not computed again, and those that no forge works on are left out.

    `network` opens one, of a single thread, for each processor.
    """
    files = [folder / f"{sample.name}.safetensors" for sample in samples]
    missing = [i for i, file in enumerate(files) if not file.is_file()]
    advance(len(samples) - len(missing))
    workers = min(cpu_count(), len(missing))
    networks = [network() for _ in range(workers)]

    def fill(worker: int) -> None:
        for i in missing[worker::workers]:
            write_tensors(files[i], _sample_tokens(samples[i], networks[worker]))
            advance(1)

    # A network of one thread on each processor, since threads that wait for each other idle beside other work.
    if missing:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(fill, range(workers)))
    targets = np.stack([read_tensors(file)["target"].numpy() for file in files])
    made = np.flatnonzero((targets != IGNORED).any(axis=(1, 2)))
    return Tokens([samples[int(i)] for i in made], [files[int(i)] for i in made], targets[made])


def _sample_tokens(sample: Sample, network: Network) -> dict[str, Tensor]:
    try:
        rgb, mask = make(sample)
    except ForgeError:
        return {"target": torch.full((MAP, MAP), IGNORED, dtype=torch.uint8)}
    return {
        "tokens": torch.from_numpy(network(fitted(rgb, SIDE)[None])[0][0]).half(),
        "target": torch.from_numpy(target(mask)),
    }
