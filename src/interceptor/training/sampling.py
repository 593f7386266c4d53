"""Batches of pairs: each an authentic crop and a forged one, balanced over data sets and sources."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from interceptor.datasets.crops import Crop, read_crop
from interceptor.forges.self_blend import self_blend
from interceptor.media.crops import CROP_SIZE, TEMPLATE
from interceptor.training import augment


class _Drawer:
    """Draws crops so that each source weighs as the square root of its size."""

    def __init__(self, crops: Sequence[Crop]) -> None:
        by_source: dict[str, list[Crop]] = defaultdict(list)
        for crop in crops:
            by_source[crop.maker].append(crop)
        self.sources = [by_source[name] for name in sorted(by_source)]
        weights = np.array([len(members) for members in self.sources]) ** 0.5
        self.shares = weights / weights.sum()

    def draw(self, rng: np.random.Generator) -> Crop:
        members = self.sources[rng.choice(len(self.sources), p=self.shares)]
        return members[rng.integers(len(members))]


@dataclass(frozen=True)
class _Pool:
    """One data set's crops. `forged` is None where it holds only authentic ones."""

    authentic: _Drawer
    forged: _Drawer | None
    by_pair: dict[str, list[Crop]]


class PairBatches(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Batch number i of a training run: `uint8[2 n, 3, 224, 224]` and labels `float32[2 n]`.

    A pair is a forgery and its own original where the data set names it, else another authentic crop of that set.
    Data sets are drawn as the fourth root of their sizes. A set without forgeries lends its authentic crops to
    others' forgeries. A share `self_blend` of the pairs is an authentic crop and its self-blended twin. Both of a
    pair share one draw of the common augmentation. Batch i depends on (seed, i) alone, so that a resumed run sees
    what an unbroken one would have seen.
    """

    def __init__(self, crops: Sequence[Crop], *, steps: int, pairs: int, self_blend: float, seed: int) -> None:
        self.steps, self.pairs, self.self_blend, self.seed = steps, pairs, self_blend, seed
        by_set: dict[str, list[Crop]] = defaultdict(list)
        for crop in crops:
            by_set[crop.dataset].append(crop)
        self.pools = []
        for name in sorted(by_set):
            authentic = [crop for crop in by_set[name] if crop.label == 0]
            forged = [crop for crop in by_set[name] if crop.label == 1]
            if not authentic:
                raise ValueError(f"data set {name}: no authentic crops; without them a source would stand for forgery")
            by_pair: dict[str, list[Crop]] = defaultdict(list)
            for crop in authentic:
                by_pair[crop.origin].append(crop)
            self.pools.append(_Pool(_Drawer(authentic), _Drawer(forged) if forged else None, by_pair))
        if not any(pool.forged for pool in self.pools):
            raise ValueError("none of the data sets holds a forged crop")
        weights = np.array([len(by_set[name]) for name in sorted(by_set)]) ** 0.25
        self.shares = weights / weights.sum()
        self.forging = np.array([pool.forged is not None for pool in self.pools]) * self.shares
        self.forging /= self.forging.sum()

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng((self.seed, step))
        images = []
        for _ in range(self.pairs):
            treat = augment.draw(rng, CROP_SIZE)
            images += [treat(image) for image in self._pair(rng)]
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
        return batch, torch.tensor([0.0, 1.0]).repeat(self.pairs)

    def _pair(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(authentic, forged), each uint8[224, 224, 3]."""
        pool = self.pools[rng.choice(len(self.pools), p=self.shares)]
        if rng.random() < self.self_blend:
            original = read_crop(pool.authentic.draw(rng).path)[0]
            forgery = self_blend(original, TEMPLATE * CROP_SIZE, rng)
            return forgery.real, forgery.fake
        if pool.forged is None:
            forged = self.pools[rng.choice(len(self.pools), p=self.forging)].forged
            assert forged is not None
            real, fake = pool.authentic.draw(rng), forged.draw(rng)
        else:
            fake = pool.forged.draw(rng)
            own = pool.by_pair.get(fake.origin)
            real = own[rng.integers(len(own))] if own else pool.authentic.draw(rng)
        return read_crop(real.path)[0], read_crop(fake.path)[0]
