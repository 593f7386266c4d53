"""`interceptor prepare specialists`: many media through `data`, in a few processes, resumable."""

from __future__ import annotations

import multiprocessing
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from interceptor import __version__
from interceptor.datasets.crops import Crop, read_index
from interceptor.datasets.listing import media_files
from interceptor.datasets.splits import Split, first_word, split_of
from interceptor.media import MediaError
from interceptor.media.faces import FaceDetector
from interceptor.runtime.network import Network, cpu_count
from interceptor.training import checkpoints
from interceptor.training.features import foundation_network
from interceptor.training.specialists import data

Job = tuple[str, tuple[Any, ...], Path]
"""What to do, with what, and the file whose presence says that it is done."""


@dataclass(frozen=True)
class Sources:
    """Where the media are."""

    authentic: Sequence[Path]
    """videos and pictures to forge"""
    talk: Sequence[Path]
    """clips of people in sync with their own sound"""
    collected: Sequence[Path]
    """folders with an index of crops, forgeries beside their originals"""
    stills: int
    """pictures of each folder, at most"""
    pairs: int
    """collected pairs for training, at most; half as many for the figures"""
    families: tuple[str, ...] = data.PICTURE_TASKS
    """by which to forge the authentic ones"""
    own: int = data.OWN
    """pairs of each training moment and family with tokens of their own"""
    for_lens: int = data.FOR_LENS
    """further pairs of each training moment and family, for the lens alone"""


def prepare(
    sources: Sources,
    base: dict[str, torch.Tensor],
    out: Path,
    make_detector: Callable[[], FaceDetector],
    advance: Callable[[int, int], None],
) -> dict[str, Any]:
    """Store the pairs of all sources under `out`; what is there already is not made again. Returns the card.

    Tokens are those of the base as it is, without any tuning of its norms. Media that cannot be read are counted by
    cause. Raises `ValueError` where there is nothing to do.
    """
    unknown = set(sources.families) - set(data.PICTURE_TASKS)
    if unknown:
        raise ValueError(
            f"{', '.join(sorted(unknown))}: no family that forges pictures; {', '.join(data.PICTURE_TASKS)}"
        )
    network = out / "base"
    foundation_network(base, network)
    talk = list(media_files(sources.talk))
    first = _mixed([*_pictures(sources, out), *_collected(sources, out), *_talk(talk, out)])
    if not first:
        raise ValueError("nothing to prepare: give --authentic, --talk or --collected")
    card: dict[str, Any] = {
        "interceptor": __version__,
        "base_sha256": checkpoints.sha256(network / "foundation.safetensors"),
        "sources": {
            "authentic": [_named(path) for path in sources.authentic],
            "talk": [_named(path) for path in sources.talk],
            "collected": [_named(path) for path in sources.collected],
        },
        "stills": sources.stills,
        "families": sources.families,
        "own": sources.own,
        "for_lens": sources.for_lens,
        "collected_pairs": sources.pairs,
    }
    checkpoints.write_json(out / "data.json", card)
    # Several processes of one thread each: cutting, forging and lenses run beside the network.
    workers = cpu_count()
    counts: Counter[str] = Counter()
    with ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), _start, (network / "screen.onnx", make_detector, out)
    ) as pool:
        for stage in (first, _swaps(talk, out)):
            todo = [job for job in stage if not job[2].is_file()]
            counts["media"] += len(stage)
            counts["made before"] += len(stage) - len(todo)
            for done, future in enumerate(as_completed([pool.submit(_work, *job[:2]) for job in todo]), 1):
                counts.update(future.result())
                advance(done, len(todo))
    card["last_run"] = dict(counts)
    checkpoints.write_json(out / "data.json", card)
    return card


def _named(folder: Path) -> str:
    return "/".join(folder.parts[-2:])


def _mixed(jobs: list[Job]) -> list[Job]:
    """In a fixed order without order, so that a run that was stopped holds something of everything."""
    return sorted(jobs, key=lambda job: zlib.crc32(job[2].name.encode()))


def _pictures(sources: Sources, out: Path) -> list[Job]:
    jobs: list[Job] = []
    settings = sources.families, sources.own, sources.for_lens
    for folder in sources.authentic:
        files = list(media_files([folder]))
        chosen = [files[i] for i in np.linspace(0, len(files) - 1, min(len(files), sources.stills)).astype(int)]
        jobs += [("pictures", (p, *settings), data.file_of(out, "pictures", split_of(p), p)) for p in chosen]
    return jobs


def _collected(sources: Sources, out: Path) -> list[Job]:
    """Training pairs from the split `train`; those of `val` serve the figures."""
    jobs: list[Job] = []
    for folder in sources.collected:
        parts: tuple[tuple[str, Split, int], ...] = (
            ("train", "train", sources.pairs),
            ("val", "test", sources.pairs // 2),
        )
        for part, split, count in parts:
            crops = read_index(folder, part)
            reals = {crop.origin: crop for crop in crops if crop.label == 0}
            fakes = [crop for crop in crops if crop.label == 1 and crop.origin in reals]
            for i in np.random.default_rng(0).permutation(len(fakes))[:count]:
                fake: Crop = fakes[i]
                file = data.file_of(out, "collected", split, fake.path)
                jobs.append(("collected", (reals[fake.origin], fake, split), file))
    return jobs


def _talk(files: list[Path], out: Path) -> list[Job]:
    return [("cut", (path,), data.talk_file(out, path)) for path in files]


def _swaps(files: list[Path], out: Path) -> list[Job]:
    """Each clip of talk beside the others of its folder, source (the first word of its name) and split."""

    def kind(path: Path) -> tuple[Path, str, str]:
        return path.parent, first_word(path), split_of(path)

    return [
        (
            "talk",
            (path, [other for other in files if other != path and kind(other) == kind(path)]),
            data.file_of(out, "talk", split_of(path), path),
        )
        for path in files
    ]


class _Worker:
    """What a process keeps between jobs."""

    network: Network
    detector: FaceDetector
    out: Path


def _start(network: Path, make_detector: Callable[[], FaceDetector], out: Path) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    _Worker.network = Network(network, outputs=("tokens",), threads=1)
    _Worker.detector = make_detector()
    _Worker.out = out


def _work(kind: str, arguments: tuple[Any, ...]) -> dict[str, int]:
    def tokens(crops: np.ndarray) -> np.ndarray:
        return _Worker.network(crops)[0]

    out, detector = _Worker.out, _Worker.detector
    try:
        match kind:
            case "pictures":
                path, *settings = arguments
                return data.forge_pictures(path, out, detector, tokens, *settings)
            case "collected":
                real, fake, split = arguments
                return data.collected_pair(real, fake, out, split, tokens)
            case "cut":
                (path,) = arguments
                return data.cut_talk(path, out, detector)
            case _:
                path, others = arguments
                return data.forge_talk(path, others, out, tokens)
    except MediaError as error:
        return {error.cause: 1}
