"""What the localizer learns from: pictures forged out of authentic ones, authentic ones as they are, hand-made edits.

A plan lists every sample with its seed, so that a sample can be made again at any time. Whole pictures go to one side
of the split, decided by their names.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from interceptor.datasets.masks import joined, read_instances
from interceptor.forges.pictures import KINDS, ForgedPicture, ForgeError, draw_recompression, forge
from interceptor.media.stills import read_still
from interceptor.models.localizer import MAP

IGNORED = 255
"""In a target: not to be judged. Elsewhere a target is the forged share of its cell in steps of 1 / 200."""
FULL = 200
SMALLEST_VIEW = 200
"""Pixels a side, at least, of a part that is taken for a picture."""


@dataclass(frozen=True)
class Source:
    """A picture that samples are made from."""

    path: Path
    kind: str
    split: str
    group: str
    """Sources that share it are on one side of the split."""
    labels: Path | None = None
    """Its objects, as instance labels."""
    mask: Path | None = None
    """Where it was forged, for a picture that is not to be forged any more."""
    convention: str = "binary"
    """How that mask is to be read (see `datasets.masks`)."""

    def truth(self) -> np.ndarray | None:
        """Where it was forged, bool[H, W]; None for an authentic picture. Raises `MaskError`."""
        return None if self.mask is None else joined(read_instances(self.mask, self.convention))


@dataclass(frozen=True)
class Sample:
    """One picture to make: `source` forged as `forge` says ("" = left as it is), all else drawn from `seed`."""

    source: Source
    forge: str
    seed: int
    donors: tuple[Source, ...] = ()

    @property
    def name(self) -> str:
        """Unlike that of any other sample."""
        return f"{self.source.path.stem}-{self.forge or 'plain'}-{self.seed:08x}"

    @property
    def forged(self) -> bool:
        return bool(self.forge) or self.source.mask is not None


def plan(sources: Sequence[Source], split: str, authentic: int, forged: int, edited: int, seed: int) -> list[Sample]:
    """Samples of one split: for each kind `authentic` ones left as they are and `forged` ones, every forge in turn;
    every hand-made edit `edited` times.
    """
    samples: list[Sample] = []
    here = [source for source in sources if source.split == split]
    for kind in sorted({source.kind for source in here}):
        of_kind = [source for source in here if source.kind == kind]
        plain = [source for source in of_kind if source.mask is None]
        for number in range(authentic if plain else 0):
            samples.append(Sample(plain[number % len(plain)], "", _seed(seed, split, kind, "", number)))
        for number in range(forged if plain else 0):
            name = KINDS[number % len(KINDS)]
            drawn = _seed(seed, split, kind, name, number)
            donors = tuple(_donors(np.random.default_rng(drawn), here, plain)) if name == "splice" else ()
            samples.append(Sample(plain[number // len(KINDS) % len(plain)], name, drawn, donors))
        for source in of_kind if edited else []:
            if source.mask is not None:
                samples += [Sample(source, "", _seed(seed, split, source.path.name, "", i)) for i in range(edited)]
    return samples


def _donors(rng: np.random.Generator, here: Sequence[Source], plain: Sequence[Source]) -> Iterable[Source]:
    """Pictures to splice from, more often than not of the same kind."""
    others = [source for source in here if source.mask is None]
    for _ in range(3):
        pool = plain if rng.random() < 0.6 else others
        yield pool[int(rng.integers(len(pool)))]


def _seed(*parts: object) -> int:
    return zlib.crc32("/".join(map(str, parts)).encode())


def make(sample: Sample, *, changed: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The picture uint8[h, w, 3] and its mask uint8[h, w]: 1 = forged, `IGNORED` = not to be judged, else 0.

    A view (the whole, or a part) is turned, forged, and treated as pictures are on their way: colour, blur and
    compression, alike for authentic ones. `changed`: a copy's source is not to be judged, as it is not altered (a
    matcher finds it); else it counts as forged. Raises `ForgeError` where no forge works on this picture.
    """
    source = sample.source
    for attempt in range(8):
        rng = np.random.default_rng([sample.seed, attempt])
        rgb, labels = _read(source)
        truth = source.truth()
        if truth is not None:
            mask = truth.astype(np.uint8)
            turn = int(rng.integers(8))
            rgb, mask = _turned(rgb, turn), _turned(mask, turn)
            return (_treated(rgb, rng) if rng.random() < 0.5 else rgb), mask
        rgb, labels = _view(rgb, labels, rng)
        if not sample.forge:
            return _treated(rgb, rng), np.zeros(rgb.shape[:2], np.uint8)
        donor, donor_labels = _read(sample.donors[attempt % 3]) if sample.donors else (None, None)
        try:
            made = forge(rgb, rng, donor=donor, objects=labels, donor_objects=donor_labels, kind=sample.forge)
        except ForgeError:
            continue
        return _treated(made.image, rng), altered(rgb, made) if changed else made.mask.astype(np.uint8)
    raise ForgeError(f"{source.path}: no {sample.forge} works on it")


def altered(before: np.ndarray, made: ForgedPicture) -> np.ndarray:
    """The mask of a forgery of `before`, uint8[h, w]: 1 where it was altered, `IGNORED` on the source of a copy."""
    mask = made.mask.astype(np.uint8)
    if made.kind == "copy_move":
        differs = (made.image != before).any(axis=2).astype(np.uint8)
        copies = cv2.morphologyEx(differs, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
        mask[(mask > 0) & (copies == 0)] = IGNORED
    return mask


def as_stored(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """A picture edited by hand and its mask as `make` gives them, but neither turned nor treated."""
    truth = sample.source.truth()
    assert truth is not None
    return read_still(sample.source.path), truth.astype(np.uint8)


def target(mask: np.ndarray) -> np.ndarray:
    """A mask of `make` on the localizer's grid, uint8[112, 112]: 0 to `FULL`, or `IGNORED`."""
    shares = [
        cv2.resize((mask == value).astype(np.float32), (MAP, MAP), interpolation=cv2.INTER_AREA)
        for value in (1, IGNORED)
    ]
    cells = np.rint(shares[0] * FULL).astype(np.uint8)
    cells[(shares[1] > 0.5) & (shares[0] < 0.5)] = IGNORED
    return cells


def _read(source: Source) -> tuple[np.ndarray, np.ndarray | None]:
    labels = None if source.labels is None else cv2.imread(str(source.labels), cv2.IMREAD_UNCHANGED)
    return read_still(source.path), labels


def _turned(array: np.ndarray, turn: int) -> np.ndarray:
    """One of the eight ways to lay a picture."""
    array = np.rot90(array, turn % 4)
    return np.ascontiguousarray(array[:, ::-1] if turn >= 4 else array)


def _view(rgb: np.ndarray, labels: np.ndarray | None, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray | None]:
    """The whole picture or, half of the time, a part of it, as tiles are; in any of eight orientations."""
    box = (slice(None), slice(None))
    if rng.random() < 0.5:
        sides = [int(max(min(n, SMALLEST_VIEW), n * rng.uniform(0.4, 1))) for n in rgb.shape[:2]]
        begins = [int(rng.integers(n - side + 1)) for n, side in zip(rgb.shape[:2], sides, strict=True)]
        box = (slice(begins[0], begins[0] + sides[0]), slice(begins[1], begins[1] + sides[1]))
    turn = int(rng.integers(8))
    return _turned(rgb[box], turn), None if labels is None else _turned(labels[box], turn)


def _treated(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sometimes other tones, sometimes softer; then compressed as `draw_recompression` draws."""
    if rng.random() < 0.3:
        tones = (np.arange(256) / 255) ** rng.uniform(0.8, 1.25) * 255 * rng.uniform(0.85, 1.15) + rng.uniform(-8, 8)
        rgb = cv2.LUT(rgb, np.clip(np.rint(tones), 0, 255).astype(np.uint8))
    if rng.random() < 0.15:
        rgb = cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.3, 1.0))
    return draw_recompression(rng)(rgb)
