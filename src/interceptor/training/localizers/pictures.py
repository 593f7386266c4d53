"""Made pictures and their masks, kept on disk: what the networks of the full tier are trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from interceptor.forges.pictures import ForgeError
from interceptor.runtime.network import cpu_count
from interceptor.training.checkpoints import CheckpointError, write_bytes
from interceptor.training.localizers.data import Sample, make

REFUSED = ".refused"
"""Suffix of the empty file that stands for a sample that no forge works on."""


@dataclass(frozen=True)
class Pictures:
    """Samples, the PNG of each (colours, and the mask of `data.make` for a fourth channel), forged shares."""

    samples: Sequence[Sample]
    files: Sequence[Path]
    areas: np.ndarray

    def read(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """uint8[h, w, 3] RGB and its mask uint8[h, w]."""
        return _read(self.files[i])


def cache_pictures(samples: Sequence[Sample], folder: Path, advance: Callable[[int], None]) -> Pictures:
    """`samples` as files; those in `folder` are not made again, and those that no forge works on are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{sample.name}.png" for sample in samples]

    def fill(i: int) -> float:
        refused = files[i].with_suffix(REFUSED)
        if not files[i].is_file() and not refused.is_file():
            try:
                rgb, mask = make(samples[i])
            except ForgeError:
                refused.touch()
            else:
                write_bytes(files[i], cv2.imencode(".png", np.dstack([rgb[..., ::-1], mask]))[1].tobytes())
        area = -1.0 if refused.is_file() else float((_read(files[i])[1] == 1).mean())
        advance(1)
        return area

    with ThreadPoolExecutor(cpu_count()) as pool:
        areas = np.array(list(pool.map(fill, range(len(files)))))
    made = np.flatnonzero(areas >= 0)
    return Pictures([samples[int(i)] for i in made], [files[int(i)] for i in made], areas[made])


def _read(file: Path) -> tuple[np.ndarray, np.ndarray]:
    bgr = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    if bgr is None:
        raise CheckpointError(f"{file}: not a readable picture; delete it, and it is made again")
    return np.ascontiguousarray(bgr[..., 2::-1]), np.ascontiguousarray(bgr[..., 3])
