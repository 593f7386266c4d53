"""What standard specialists learn from, computed once: lenses and base tokens of forged faces beside their originals.

Authentic files are cut into moments of faces, each moment is forged by each family, pairs go through one draw of the
augmentation, and lenses and tokens are stored. One file of tensors for each medium, so that an interrupted run goes on.

A stored file holds `tokens` float16[m, 49, 3072] of m distinct crops and, for a task `t` seen through the lens `l`,
`t.l.rows` int32[k, 2] (rows of `tokens`, authentic and forged) and `t.l.seen` float16[k, 2, 3, 112, 112]. Tasks are the
forge's codes, `swap` (av, the sound of somebody else) and `real` (forgeries that were collected, not made).
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from interceptor.datasets.crops import Crop, read_crop
from interceptor.forges.blend import Forged, ForgeError
from interceptor.forges.registry import FAMILIES
from interceptor.lenses import LENSES, Abstain
from interceptor.lenses.half import half
from interceptor.media import probe
from interceptor.media.clips import FaceClip, Mouth, NativeCrop, Sound
from interceptor.media.crops import CROP_SIZE, TEMPLATE
from interceptor.media.faces import FaceDetector
from interceptor.media.windows import cut_window
from interceptor.training import augment
from interceptor.training.checkpoints import read_tensors, write_tensors

Split = Literal["train", "val", "test"]
Tokens = Callable[[np.ndarray], np.ndarray]
"""uint8[n, 224, 224, 3] RGB to base tokens float32[n, 49, 3072]."""

TEST, VALIDATION = 0.2, 0.15
"""Shares of files kept for the figures, and for choosing the step of a run."""
SECONDS, MOMENTS = 3.0, 5
"""Of each video: how much is read, and how many moments become pairs for each family."""
TALK_SECONDS, DRAWS = 8.0, 40
"""Of each clip of talk: how much is read, and how many pairs each of shifts and swaps gives."""
GRID = 8
BATCH = 16
PICTURE_TASKS = tuple(code for code in FAMILIES if code != "av")
VIDEO_ID = re.compile(r"(?<![A-Za-z0-9-])[A-Za-z0-9-]{11}(?![A-Za-z0-9-])")


def split_of(path: Path) -> Split:
    """Decided by the file's name, so that it never changes. Files that name one video's id go together."""
    found = VIDEO_ID.search(path.stem)
    key = found.group() if found else path.stem
    place = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 2**32
    return "test" if place < TEST else "val" if place < TEST + VALIDATION else "train"


class Pairs:
    """The pairs of one medium, gathered and then stored."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._crops: dict[bytes, tuple[int, np.ndarray]] = {}
        self._rows: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._seen: dict[str, list[np.ndarray]] = defaultdict(list)

    def add(self, task: str, code: str, real: FaceClip, fake: FaceClip) -> bool:
        """One pair of one moment through the lens `code`; False where it abstains."""
        try:
            seen = np.concatenate([half(code, LENSES[code].look(clip)[:1]) for clip in (real, fake)])
        except Abstain:
            return False
        self._rows[f"{task}.{code}"].append((self._row(real.crops[0]), self._row(fake.crops[0])))
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


def forge_pictures(path: Path, out: Path, detector: FaceDetector, tokens: Tokens) -> dict[str, int]:
    """Cut a video or picture, forge its moments by the five families that change pictures, and store the pairs.

    Training pairs get the augmentation and the lens of their own family; those of `val` and `test` are left as they
    are and seen through every lens. Raises `MediaError` for a file that cannot be read.
    """
    split = split_of(path)
    pairs = Pairs(tokens)
    clips = cut_window(path, probe(path), detector, seconds=SECONDS, crops=MOMENTS, max_faces=2).clips
    moments = [moment for clip in clips for moment in moments_of(clip)]
    for number, moment in enumerate(moments):
        seed = [zlib.crc32(path.name.encode()), number]
        treat = augment.draw_clip(np.random.default_rng([*seed, 0])) if split == "train" else _unchanged
        for order, code in enumerate(PICTURE_TASKS, 1):
            if split == "train" and not visible(code, moment):
                continue
            forged = FAMILIES[code].forge(moment, np.random.default_rng([*seed, order]))
            real, fake = treat(forged.real), treat(forged.fake)
            for lens in (code,) if split == "train" else LENSES:
                pairs.add(code, lens, real, fake)
    return pairs.write(file_of(out, "pictures", split, path))


def visible(code: str, clip: FaceClip) -> bool:
    """Whether a clip has what the lens `code` looks at: nothing is forged that nobody sees."""
    views = {"bg": clip.context, "cm": clip.native, "rr": clip.native, "tm": clip.neighbours}
    return views.get(code, clip.crops) is not None


def moments_of(clip: FaceClip) -> Iterator[FaceClip]:
    """Clips of one crop each; of native crops only the window that the lenses show, so that no more is forged."""
    for i in range(len(clip.crops)):
        yield replace(
            clip,
            crops=clip.crops[i : i + 1],
            landmarks=clip.landmarks[i : i + 1],
            times=clip.times[i : i + 1],
            context=None if clip.context is None else clip.context[i : i + 1],
            neighbours=None if clip.neighbours is None else clip.neighbours[i : i + 1],
            native=clip.native and (_window(clip.native[i]),),
        )


def _window(crop: NativeCrop) -> NativeCrop:
    """What `lenses.native.native_windows` shows of it, in whole blocks."""
    height, width = crop.pixels.shape[:2]
    top, left = (max(0, side - CROP_SIZE) // 2 // GRID * GRID for side in (height, width))
    high, wide = (min(side // GRID * GRID, CROP_SIZE) for side in (height, width))
    pixels = np.ascontiguousarray(crop.pixels[top : top + high, left : left + wide])
    return NativeCrop(pixels, crop.landmarks - np.array([left, top], np.float32))


def _unchanged(clip: FaceClip) -> FaceClip:
    return clip


def collected_pair(real: Crop, fake: Crop, out: Path, split: Split, tokens: Tokens) -> dict[str, int]:
    """A collected forgery and its original as aligned crops: all that the low-light lens needs."""
    pairs = Pairs(tokens)
    clips = [
        FaceClip(read_crop(crop.path)[0][None], (TEMPLATE * CROP_SIZE)[None], np.zeros(1)) for crop in (real, fake)
    ]
    if split == "train":
        seed = [zlib.crc32(fake.path.name.encode())]
        treat = augment.draw_clip(np.random.default_rng(seed))
        clips = [treat(clip) for clip in clips]
    pairs.add("real", "ll", *clips)
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
        forge = FAMILIES["av"].forge
        for task in ("av", "swap"):
            for _ in range(DRAWS):
                try:
                    if task == "av":
                        forged: Forged = forge(clip, rng)
                    elif partners:
                        forged = forge(clip, rng, partners[rng.integers(len(partners))])  # type: ignore[call-arg]
                    else:
                        break
                except ForgeError:
                    continue
                pairs.add(task, "av", forged.real, forged.fake)
    return pairs.write(file_of(out, "talk", split, path))
