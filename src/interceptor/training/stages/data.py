"""Samples of a stage: rows of a prepared folder, augmented, seen through a lens, enhanced as the recipe says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from interceptor.datasets.packing import CONVENTION
from interceptor.datasets.shards import Shards
from interceptor.lenses import LENSES, Abstain
from interceptor.lenses.half import half
from interceptor.media.enhancement import enhance
from interceptor.training.stages.balance import Draw
from interceptor.training.stages.recipe import Recipe
from interceptor.training.stages.views import Augmentation

TRIES = 20
"""Samples drawn instead of one whose lens abstains, before the run gives up."""
NAMES = ("authentic", "forged")


def crop_convention(shards: Shards) -> str:
    """How the folder's crops were cut, as it says itself; for a folder that says nothing, the project's way."""
    return str(shards.prepared.get("crop", CONVENTION))


class DataError(ValueError):
    """Training data that cannot be used; the message says what is missing and what to do."""


class Batch(NamedTuple):
    """Samples side by side."""

    crops: Tensor
    """uint8[n, 3, 224, 224]"""
    lens: Tensor
    """float32[n, 3, s, s]"""
    labels: Tensor
    """int64[n]"""
    rows: Tensor
    """int64[n], places in the manifest"""
    replaced: Tensor
    """int64[n]: how many samples the lens abstained from before this one was drawn"""


class Samples(Dataset[Batch]):
    """What a specialist is shown of rows; an item is the batch of a list of draws, or of one row without augmentation.

    Where the lens abstains from a sample, training draws another row of its class; validation leaves it out.
    """

    def __init__(self, shards: Shards, code: str, recipe: Recipe, places: Sequence[int], training: bool) -> None:
        self.shards, self.code, self.recipe = shards, code, recipe
        self.by_label = [[i for i in places if shards.rows[i].label == label] for label in (0, 1)]
        self.training = training
        # Tokens of a frozen backbone are computed once, of the crop as it is; the lens beside them stays as it is, too.
        self.augment = Augmentation(recipe) if training and not recipe.frozen else None

    def __getitem__(self, draws: Sequence[Draw]) -> Batch:
        found = [self._replaced(draw) for draw in draws]
        return stacked([one for one in found if one is not None])

    def _replaced(self, draw: Draw) -> Batch | None:
        label = self.shards.rows[draw.row].label
        rng = np.random.default_rng(draw.seed)
        row = draw.row
        for number in range(TRIES):
            try:
                return self._seen(row, draw.seed, number)
            except Abstain:
                if not self.training:
                    return None
                row = int(rng.choice(self.by_label[label]))
        raise DataError(
            f"the lens {self.code} abstained from {TRIES} {NAMES[label]} samples one after another; "
            "check them with `interceptor lens`"
        )

    def _seen(self, row: int, seed: int, replaced: int) -> Batch:
        clip = self.shards.read(row, LENSES[self.code].views)
        if self.augment is not None:
            clip = self.augment(clip, seed)
        lens = LENSES[self.code].look(clip)
        if self.recipe.lens_size != lens.shape[-1]:
            lens = half(self.code, lens)
        crop = enhance(clip.crops[0], self.recipe.preprocessing)
        return Batch(
            torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1)[None],
            torch.from_numpy(np.ascontiguousarray(lens, np.float32)),
            torch.tensor([self.shards.rows[row].label]),
            torch.tensor([row]),
            torch.tensor([replaced]),
        )


def stacked(samples: Sequence[Batch]) -> Batch:
    """Samples of one row each side by side; an empty list gives a batch of none."""
    if not samples:
        nothing = torch.zeros(0, dtype=torch.long)
        return Batch(torch.zeros(0, 3, 224, 224, dtype=torch.uint8), torch.zeros(0, 3, 1, 1), nothing, nothing, nothing)
    return Batch(*(torch.cat(column) for column in zip(*samples, strict=True)))


def on(device: torch.device, batch: Batch, channels_last: bool) -> Batch:
    """`batch` on `device`, the lens in the memory format of the network."""
    moved = Batch(*(tensor.to(device, non_blocking=True) for tensor in batch))
    return moved._replace(lens=moved.lens.contiguous(memory_format=torch.channels_last)) if channels_last else moved


@dataclass(frozen=True)
class Chunk:
    """What is trained on in one go."""

    name: str
    number: int
    """of the recipe; -1 where there are no chunks"""
    places: tuple[int, ...]
    """rows of the manifest"""


@dataclass(frozen=True)
class Plan:
    """What a stage trains on and measures itself by."""

    chunks: tuple[Chunk, ...]
    validation: tuple[int, ...]
    left_out: int
    """rows without the views that the lens needs"""
    unused_chunks: tuple[int, ...]
    """in the data, but not in the recipe"""

    def counts(self, shards: Shards) -> tuple[int, int]:
        """Training rows by label."""
        found = Counter(shards.rows[i].label for chunk in self.chunks for i in chunk.places)
        return found[0], found[1]


def plan(shards: Shards, code: str, recipe: Recipe) -> Plan:
    """Which rows a stage uses, in which chunks. Raises `DataError` before anything is spent.

    A chunk of the recipe that the data lack, a class that is empty (in a chunk, or for validation), and a folder
    prepared without what the lens looks at are such errors.
    """
    needed = set(LENSES[code].views)
    usable = [i for i, row in enumerate(shards.rows) if needed <= set(row.views.split())]
    left_out = len(shards.rows) - len(usable)
    if not usable:
        raise DataError(
            f"{shards.folder}: no sample holds what the lens {code} looks at ({', '.join(sorted(needed))}); "
            f"prepare it into a new folder with --for {code}"
        )
    train = [i for i in usable if shards.rows[i].split == "train"]
    validation = [i for i in usable if shards.rows[i].split == "val"]
    present = {row.chunk for row in shards.rows if row.split == "train" and row.chunk is not None}
    if missing := [chunk for chunk in recipe.chunks if chunk not in present]:
        has = ", ".join(map(str, sorted(present))) or "none"
        rest = [chunk for chunk in recipe.chunks if chunk in present]
        raise DataError(
            f"{shards.folder}: chunks {', '.join(map(str, missing))} of the recipe are missing; there are: {has}. "
            f"Prepare them, or train on what is there: --set 'chunks={rest}'"
        )
    if recipe.chunks:
        chunks = tuple(
            Chunk(f"chunk {number}", number, tuple(i for i in train if shards.rows[i].chunk == number))
            for number in recipe.chunks
        )
    else:
        chunks = (Chunk("all rows", -1, tuple(train)),)
    for name, places in [*((f"{c.name} of the split train", c.places) for c in chunks), ("the split val", validation)]:
        for label, kind in enumerate(NAMES):
            if not any(shards.rows[i].label == label for i in places):
                raise DataError(
                    f"{shards.folder}: {name} has no {kind} sample that the lens {code} can look at, of "
                    f"{len(places)}; training needs both classes"
                )
    unused = tuple(sorted(present - set(recipe.chunks))) if recipe.chunks else ()
    return Plan(chunks, tuple(_even(validation, shards, recipe.validate_samples)), left_out, unused)


def _even(places: Sequence[int], shards: Shards, limit: int) -> list[int]:
    """At most `limit` of them, half of each class where there are enough, evenly over their order; 0 takes all."""
    if not limit or len(places) <= limit:
        return list(places)
    kept: list[int] = []
    for label in (0, 1):
        own = [i for i in places if shards.rows[i].label == label]
        kept += [own[j] for j in np.linspace(0, len(own) - 1, min(len(own), max(1, limit // 2))).astype(int)]
    return sorted(kept)
