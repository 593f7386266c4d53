"""What runs of both tiers keep in their folder: what they were begun with, and lists of mistakes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from interceptor.training.checkpoints import CheckpointError, write_json
from interceptor.training.localizers.data import Sample, Source
from interceptor.training.localizers.mining import mine, read_list, write_list
from interceptor.training.localizers.recipes import Tier

Found = Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]]
"""For each training sample the logits of the member that is mined, and the target."""


def begin(out: Path, tier: Tier, settings: Mapping[str, Any], sources: Sequence[Source]) -> None:
    """Note in `out/recipe.json` what a run is begun with; members may be trained in several goes.

    Raises `CheckpointError` where another run lies in the folder.
    """
    file = out / "recipe.json"
    described = {
        "tier": str(tier),
        "settings": {key: value for key, value in settings.items() if key != "members"},
        "sources": [_as_text(source) for source in sources],
    }
    if not file.is_file():
        write_json(file, described)
    elif json.loads(file.read_text(encoding="utf-8")) != described:
        raise CheckpointError(f"{out}: holds a run of another recipe or other pictures; choose another folder")


def opened(out: Path) -> tuple[Tier, dict[str, Any], list[Source]]:
    """What a run was begun with: tier, settings and sources. Raises `CheckpointError` where there is no run."""
    try:
        found = json.loads((out / "recipe.json").read_text(encoding="utf-8"))
        return Tier(found["tier"]), found["settings"], [_from_text(source) for source in found["sources"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{out}: not the folder of a localizer's run ({error!r})") from error


def listed(out: Path, what: str, samples: Sequence[Sample], found: Found) -> np.ndarray:
    """Which samples `out/WHAT.csv` names, bool[n]; the list is made first where there is none."""
    file = out / f"{what}.csv"
    if not file.is_file():
        write_list(file, mine(what, samples, found()))
    return read_list(file, samples)


def _as_text(source: Source) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, Path) else value for key, value in dataclasses.asdict(source).items()}


def _from_text(source: dict[str, Any]) -> Source:
    paths = {key: Path(source[key]) for key in ("path", "labels", "mask") if source[key] is not None}
    return Source(**{**source, **paths})
