"""What a student learns from: faces of many data sets, labelled or not, with the teacher's logit for each."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from interceptor.datasets.crops import Crop, read_crop, read_index
from interceptor.datasets.pictures import picture_files
from interceptor.media.crops import CROP_SIZE
from interceptor.training import augment, checkpoints

CHUNK = 128
UNKNOWN = -1
"""Label of a face that nobody labelled."""


def name_of(crop: Crop, folder: Path) -> str:
    """What a crop is called in a file of logits: DATASET/path as in the index."""
    return f"{crop.dataset}/{crop.path.relative_to(folder).as_posix()}"


@dataclass(frozen=True)
class Faces:
    """Crops and their names in a file of logits."""

    crops: list[Crop]
    names: list[str]

    @classmethod
    def read(cls, folders: Sequence[Path], split: str, unlabelled: Sequence[Path] = ()) -> Faces:
        """The split's crops of every folder that has one, and all pictures below the folders `unlabelled`.

        Raises `ValueError` as `read_index` does, and for a folder without pictures.
        """
        crops, names = [], []
        for folder in folders:
            every = read_index(folder)
            found = [crop for crop in every if crop.split == split]
            crops += found
            names += [name_of(crop, folder) for crop in found]
        for folder in unlabelled:
            files = picture_files(folder)
            if not files:
                raise ValueError(f"{folder}: no pictures")
            found = [Crop(path, UNKNOWN, folder.resolve().name) for path in files]
            crops += found
            names += [name_of(crop, folder) for crop in found]
        return cls(crops, names)


def read_logits(path: Path) -> dict[str, float]:
    """A file of logits: CSV with the columns `crop` (DATASET/path as in its index) and `logit`.

    Raises `ValueError` where it is another kind of file.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            if next(rows, None) != ["crop", "logit"]:
                raise ValueError("expected the columns crop,logit")
            return {name: float(logit) for name, logit in rows}
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(f"{path}: not a file of logits: {error}") from error


def write_logits(path: Path, logits: dict[str, float]) -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["crop", "logit"])
    rows.writerows((name, f"{logit:.5g}") for name, logit in logits.items())
    checkpoints.write_bytes(path, text.getvalue().encode())


def teach(
    teacher: Callable[[np.ndarray], np.ndarray], faces: Faces, cache: Path, advance: Callable[[int], bool]
) -> dict[str, float]:
    """The teacher's logits of all `faces`; those already in the file `cache` are not computed again.

    `advance` is told how many were done, and says whether to go on.
    """
    known = read_logits(cache) if cache.is_file() else {}
    todo = [i for i, name in enumerate(faces.names) if name not in known]
    if not advance(len(faces.names) - len(todo)):
        return known
    for start in range(0, len(todo), CHUNK):
        chunk = todo[start : start + CHUNK]
        logits = teacher(np.stack([read_crop(faces.crops[i].path)[0] for i in chunk]))
        known |= {faces.names[i]: float(logit) for i, logit in zip(chunk, logits, strict=True)}
        write_logits(cache, known)
        if not advance(len(chunk)):
            break
    return known


def draw_weights(crops: Sequence[Crop]) -> np.ndarray:
    """Probability float64[n] of each crop in a draw: data sets as the fourth root of their sizes, the labels within
    one alike, sources within a label as the square root of theirs.
    """
    size = Counter(crop.dataset for crop in crops)
    labels: dict[str, set[int]] = defaultdict(set)
    sources: Counter[tuple[str, int, str]] = Counter()
    for crop in crops:
        labels[crop.dataset].add(crop.label)
        sources[crop.dataset, crop.label, crop.maker] += 1
    shares: dict[tuple[str, int], float] = defaultdict(float)
    for (dataset, label, _), count in sources.items():
        shares[dataset, label] += count**0.5
    weights = np.array(
        [
            size[crop.dataset] ** 0.25
            / len(labels[crop.dataset])
            / shares[crop.dataset, crop.label]
            / sources[crop.dataset, crop.label, crop.maker] ** 0.5
            for crop in crops
        ]
    )
    return weights / weights.sum()


class DistillBatches(Dataset[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]):
    """Batch i of a run: images `uint8[2 n, 3, 224, 224]`, labels `float32[2 n]`, teacher's logits `float32[2 n]`.

    Crops come in pairs: a drawn one, and another label of the same origin where there is one (a forgery and its
    original), else another drawn one. A share `augmented` of the pairs is augmented, both members alike. Batch i
    depends on (seed, i) alone, so that a resumed run sees what an unbroken one would have seen.
    """

    def __init__(
        self, crops: Sequence[Crop], logits: np.ndarray, *, steps: int, pairs: int, augmented: float, seed: int
    ) -> None:
        self.crops, self.logits = crops, logits
        self.steps, self.pairs, self.augmented, self.seed = steps, pairs, augmented, seed
        self.ladder = np.cumsum(draw_weights(crops))
        self.kin: dict[tuple[str, str], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for i, crop in enumerate(crops):
            self.kin[crop.dataset, crop.origin][crop.label].append(i)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng((self.seed, step))
        chosen: list[int] = []
        images = []
        for _ in range(self.pairs):
            pair = self._pair(rng)
            chosen += pair
            treat = augment.draw(rng, CROP_SIZE) if rng.random() < self.augmented else _flip(rng)
            images += [treat(read_crop(self.crops[i].path)[0]) for i in pair]
        labels = torch.tensor([float(self.crops[i].label) for i in chosen])
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
        return batch, labels, torch.from_numpy(self.logits[chosen]).float()

    def _pair(self, rng: np.random.Generator) -> tuple[int, int]:
        first = self._draw(rng)
        crop = self.crops[first]
        others = self.kin[crop.dataset, crop.origin].get(1 - crop.label)
        return first, others[rng.integers(len(others))] if others else self._draw(rng)

    def _draw(self, rng: np.random.Generator) -> int:
        return min(int(np.searchsorted(self.ladder, rng.random(), side="right")), len(self.crops) - 1)


def _flip(rng: np.random.Generator) -> augment.Step:
    step = -1 if rng.random() < 0.5 else 1
    return lambda image: image[:, ::step]
