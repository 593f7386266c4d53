"""What standard specialists learn from, computed once: lenses and base tokens of forged faces beside their originals.

Authentic files are cut into moments of faces, each moment is forged by each family, pairs go through one draw of the
augmentation, and lenses and tokens are stored. One file of tensors for each medium, so that an interrupted run goes on.

A stored file holds `tokens` float16[m, 49, 3072] of m distinct crops and, for a task `t` seen through the lens `l`,
`t.l.rows` int32[k, 2] (rows of `tokens`, authentic and forged) and `t.l.seen` float16[k, 2, 3, 112, 112]. Tasks are the
forge's codes, `swap` (the sound of somebody else) and `real` (forgeries that were collected, not made). The lens
`rgb` is no lens: the crop itself, which `training/specialists/ablation.py` puts in a lens's place.

Tokens cost a hundred times what a lens costs. So training moments are forged many times more for the lens alone: both
of such a pair have the row of the untouched face, whose tokens cannot tell them apart.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import defaultdict
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import torch

from interceptor.datasets.crops import Crop, read_crop
from interceptor.datasets.samples import keep, moments
from interceptor.datasets.splits import Split, split_of
from interceptor.forges import audio_visual
from interceptor.forges.blend import ForgeError
from interceptor.forges.registry import FAMILIES
from interceptor.lenses import LENSES, Abstain
from interceptor.lenses.half import half
from interceptor.media import probe
from interceptor.media.clips import FaceClip, Mouth, Sound
from interceptor.media.crops import CROP_SIZE, TEMPLATE
from interceptor.media.faces import FaceDetector
from interceptor.media.windows import cut_window
from interceptor.models.modules import module_spec
from interceptor.training import augment
from interceptor.training.checkpoints import read_tensors, write_tensors

RGB = "rgb"
Tokens = Callable[[np.ndarray], np.ndarray]
"""uint8[n, 224, 224, 3] RGB to base tokens float32[n, 49, 3072]."""

SECONDS, MOMENTS = 6.0, 6
"""Of each video: how much is read, and how many moments become pairs for each family."""
OWN = 1
"""Pairs of each training moment and family with tokens of their own, unless asked for more."""
FOR_LENS = 4
"""Further pairs of each training moment and family, for the lens alone, unless asked for more."""
TALK_SECONDS, DRAWS = 8.0, 40
"""Of each clip of talk: how much is read, and how many pairs each of shifts and swaps gives."""
GRID = 8
BATCH = 16
PICTURE_TASKS = tuple(code for code, family in FAMILIES.items() if family.changes == "pictures")
REAL, SWAP = "real", "swap"


def tasks_of(code: str) -> tuple[str, ...]:
    """What a specialist may train on: its own forge's pairs first, collected forgeries where its lens needs no more
    than the crop that these are, and sounds of somebody else where it hears. Raises `ValueError` for an unknown code.
    """
    views = LENSES[module_spec(code).code].views
    return code, *([] if views else [REAL]), *([SWAP] if "sound" in views else [])


class Pairs:
    """The pairs of one medium, gathered and then stored."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._crops: dict[bytes, tuple[int, np.ndarray]] = {}
        self._rows: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._seen: dict[str, list[np.ndarray]] = defaultdict(list)

    def add(self, task: str, code: str, real: FaceClip, fake: FaceClip, tokens_of: FaceClip | None = None) -> bool:
        """One pair of one moment through the lens `code`, both with the tokens of `tokens_of` if given; False where the
        lens abstains.
        """
        look = colours if code == RGB else LENSES[code].look
        try:
            seen = np.concatenate([half(code, look(clip)[:1]) for clip in (real, fake)])
        except Abstain:
            return False
        rows = self._row((tokens_of or real).crops[0]), self._row((tokens_of or fake).crops[0])
        self._rows[f"{task}.{code}"].append(rows)
        self._seen[f"{task}.{code}"].append(seen.astype(np.float16))
        return True

    def _row(self, crop: np.ndarray) -> int:
        """Equal crops, such as an authentic face that several forges leave alone, are looked at once."""
        key = hashlib.sha256(crop.tobytes()).digest()
        return self._crops.setdefault(key, (len(self._crops), crop))[0]

    def write(self, path: Path) -> dict[str, int]:
        """Number of pairs by task and lens."""
        tensors: dict[str, torch.Tensor] = {}
        if self._crops:
            crops = np.stack([crop for _, crop in self._crops.values()])
            parts = [self._tokens(crops[i : i + BATCH]) for i in range(0, len(crops), BATCH)]
            tensors["tokens"] = torch.from_numpy(np.concatenate(parts)).half()
        for name, rows in self._rows.items():
            tensors[f"{name}.rows"] = torch.tensor(rows, dtype=torch.int32)
            tensors[f"{name}.seen"] = torch.from_numpy(np.stack(self._seen[name]))
        write_tensors(path, tensors)
        return {name: len(rows) for name, rows in self._rows.items()}


def file_of(out: Path, kind: str, split: Split, path: Path) -> Path:
    """Where the pairs of a medium are stored."""
    return out / split / f"{kind}-{path.parent.parent.name}-{path.parent.name}-{path.stem}.safetensors"


def forge_pictures(
    path: Path,
    out: Path,
    detector: FaceDetector,
    tokens: Tokens,
    families: Collection[str] = PICTURE_TASKS,
    own: int = OWN,
    for_lens: int = FOR_LENS,
) -> dict[str, int]:
    """Cut a video or picture, forge its moments by `families`, of those that change pictures, and store the pairs.

    Training pairs get the augmentation; those of `val` and `test` are left as they are. Those of `test` are seen
    through every lens, others through that of their own family. Faces that a forge refuses give no pair. Raises
    `MediaError` for a file that cannot be read.
    """
    split = split_of(path)
    pairs = Pairs(tokens)
    clips = cut_window(path, probe(path), detector, seconds=SECONDS, crops=MOMENTS, max_faces=2).clips
    for number, moment in enumerate(moment for clip in clips for moment in moments(clip)):
        seed = [zlib.crc32(path.name.encode()), number]
        for order, code in enumerate(PICTURE_TASKS, 1):
            if code not in families:
                continue
            rng = np.random.default_rng([*seed, order])
            try:
                if split != "train":
                    forged = FAMILIES[code].forge(moment, rng)
                    if pairs.add(code, code, forged.real, forged.fake) and split == "test":
                        pairs.add(code, RGB, forged.real, forged.fake)
                    for lens in LENSES if split == "test" else ():
                        if lens != code:
                            pairs.add(code, lens, forged.real, forged.fake)
                elif (seen := only(code, moment)) is not None:
                    for draw in range(own):
                        # The same for all families: where both are the face as it was, tokens are computed once.
                        treat = augment.draw_clip(np.random.default_rng([*seed, 0, draw] if draw else [*seed, 0]))
                        _train_on(code, seen, pairs, rng, treat)
                    for _ in range(for_lens):
                        _train_on(code, seen, pairs, rng, augment.draw_clip(rng), tokens_of=moment)
            except ForgeError:
                continue
    return pairs.write(file_of(out, "pictures", split, path))


def _train_on(
    code: str,
    moment: FaceClip,
    pairs: Pairs,
    rng: np.random.Generator,
    treat: Callable[[FaceClip], FaceClip],
    tokens_of: FaceClip | None = None,
) -> None:
    forged = FAMILIES[code].forge(moment, rng)
    real, fake = treat(forged.real), treat(forged.fake)
    if pairs.add(code, code, real, fake, tokens_of) and tokens_of is None:
        pairs.add(code, RGB, real, fake)


def colours(clip: FaceClip) -> np.ndarray:
    """float32[n, 3, 224, 224], -1..1: red, green and blue of the crops."""
    return np.ascontiguousarray(clip.crops.transpose(0, 3, 1, 2), np.float32) / 127.5 - 1


def only(code: str, clip: FaceClip) -> FaceClip | None:
    """The clip with nothing but crops and what the lens `code` looks at, so that no more is forged; None where it does
    not have that.
    """
    views = LENSES[code].views
    return None if any(getattr(clip, view) is None for view in views) else keep(clip, views)


def collected_pair(real: Crop, fake: Crop, out: Path, split: Split, tokens: Tokens) -> dict[str, int]:
    """A collected forgery and its original as aligned crops, seen by the lenses that need no more."""
    pairs = Pairs(tokens)
    clips = [
        FaceClip(read_crop(crop.path)[0][None], (TEMPLATE * CROP_SIZE)[None], np.zeros(1)) for crop in (real, fake)
    ]
    if split == "train":
        seed = [zlib.crc32(fake.path.name.encode())]
        treat = augment.draw_clip(np.random.default_rng(seed))
        clips = [treat(clip) for clip in clips]
    for lens in (*(code for code in LENSES if REAL in tasks_of(code)), RGB):
        pairs.add(REAL, lens, *clips)
    return pairs.write(file_of(out, "collected", split, fake.path))


def cut_talk(path: Path, out: Path, detector: FaceDetector) -> dict[str, int]:
    """Store mouth, sound and one crop of the most visible face of a clip of talk."""
    clips = cut_window(path, probe(path), detector, seconds=TALK_SECONDS, crops=1, max_faces=1).clips
    tensors: dict[str, torch.Tensor] = {}
    if clips and clips[0].mouth is not None and clips[0].sound is not None:
        clip, mouth, sound = clips[0], clips[0].mouth, clips[0].sound
        tensors = {
            "crops": torch.from_numpy(clip.crops[:1]),
            "landmarks": torch.from_numpy(clip.landmarks[:1]),
            "times": torch.from_numpy(clip.times[:1]),
            "mouth": torch.from_numpy(mouth.frames),
            "mouth_times": torch.from_numpy(mouth.times),
            "samples": torch.from_numpy(sound.samples),
            "sound": torch.tensor([sound.rate, sound.start], dtype=torch.float64),
        }
    write_tensors(talk_file(out, path), tensors)
    return {"talk": int(bool(tensors))}


def talk_file(out: Path, path: Path) -> Path:
    return out / "talk" / f"{path.parent.name}-{path.stem}.safetensors"


def read_talk(path: Path) -> FaceClip | None:
    """What `cut_talk` stored; None where the clip has no face or no sound."""
    found = read_tensors(path)
    if not found:
        return None
    arrays = {name: tensor.numpy() for name, tensor in found.items()}
    rate, start = arrays["sound"]
    return FaceClip(
        arrays["crops"],
        arrays["landmarks"],
        arrays["times"],
        mouth=Mouth(arrays["mouth"], arrays["mouth_times"]),
        sound=Sound(arrays["samples"], int(rate), float(start)),
    )


def forge_talk(path: Path, others: list[Path], out: Path, tokens: Tokens) -> dict[str, int]:
    """Shift the sound of a clip of talk against its lips, swap it for those of `others` (of its source and split), and
    store the pairs. A clip that the forge cannot use gives none.
    """
    split = split_of(path)
    clip = read_talk(talk_file(out, path))
    pairs = Pairs(tokens)
    if clip is not None:
        rng = np.random.default_rng(zlib.crc32(path.name.encode()))
        partners = [found for other in others if (found := read_talk(talk_file(out, other))) is not None]
        for task in ("av", SWAP) if partners else ("av",):
            for _ in range(DRAWS):
                other = partners[rng.integers(len(partners))] if task == SWAP else None
                try:
                    forged = audio_visual.forge(clip, rng, other)
                except ForgeError:
                    continue
                pairs.add(task, "av", forged.real, forged.fake)
    return pairs.write(file_of(out, "talk", split, path))
