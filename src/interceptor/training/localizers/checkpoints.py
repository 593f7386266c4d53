"""Checkpoints of the full tier's networks: `model_state_dict`, `optimizer_state_dict`, `epoch` and `best_dice`.

Tensors lie in safetensors, the two dictionaries by the first part of their names; `epoch`, `best_dice` and what the
network is lie in JSON beside them. Dictionaries of those four keys that PyTorch saved (`.pt`, `.pth`) are read too.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interceptor.models.localizer import GateAt
from interceptor.models.localizer_full import FullLocalizer
from interceptor.training.checkpoints import CheckpointError, read_tensors, write_json, write_tensors

LEGACY = (".pt", ".pth")
KEYS = ("model_state_dict", "optimizer_state_dict", "epoch", "best_dice")


@dataclass(frozen=True)
class Architecture:
    """Which network, and how it is shown pictures."""

    member: str
    encoder: str = "efficientnet_b2"
    channels: int = 3
    gate: GateAt = "features"
    side: int = 512

    def build(self, *, pretrained: bool = False) -> FullLocalizer:
        return FullLocalizer(self.encoder, self.channels, self.gate, pretrained=pretrained)


@dataclass(frozen=True)
class Checkpoint:
    """A network in training. `epoch` counts finished ones; `best_dice` is the best validation Dice up to then."""

    architecture: Architecture
    model_state_dict: Mapping[str, Tensor]
    optimizer_state_dict: Mapping[str, Tensor]
    """Adam's moments and step counts by the parameters' names (see `checkpoints.adam_state`); empty if legacy."""
    epoch: int
    best_dice: float

    def model(self) -> FullLocalizer:
        """The network with these weights. Raises `CheckpointError` where they are those of another."""
        model = self.architecture.build()
        try:
            model.load_state_dict(dict(self.model_state_dict))
        except RuntimeError as error:
            raise CheckpointError(f"the weights do not fit {self.architecture}: {error}") from error
        return model


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """`path` (.safetensors) and the JSON beside it; the JSON last, so that it never names what is not there."""
    tensors = {f"{part}.{name}": tensor for part in KEYS[:2] for name, tensor in getattr(checkpoint, part).items()}
    write_tensors(path, tensors)
    said = {"epoch": checkpoint.epoch, "best_dice": checkpoint.best_dice}
    write_json(path.with_suffix(".json"), said | {"architecture": asdict(checkpoint.architecture)})


def read_checkpoint(path: Path, architecture: Architecture | None = None) -> Checkpoint:
    """A checkpoint of this project, or a legacy one, whose `architecture` must be told. Nothing is unpickled but
    tensors and plain values. Raises `CheckpointError`.
    """
    if path.suffix in LEGACY:
        return _read_legacy(path, architecture)
    tensors, beside = read_tensors(path), path.with_suffix(".json")
    try:
        said = json.loads(beside.read_text(encoding="utf-8"))
        parts: dict[str, dict[str, Tensor]] = {part: {} for part in KEYS[:2]}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        return Checkpoint(
            Architecture(**said["architecture"]), **parts, epoch=said["epoch"], best_dice=said["best_dice"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: not a localizer's checkpoint with its {beside.name} ({error!r})") from error


def _read_legacy(path: Path, architecture: Architecture | None) -> Checkpoint:
    if architecture is None:
        raise CheckpointError(f"{path}: a legacy checkpoint does not say which network it is of")
    try:
        found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path}: not a checkpoint of tensors and plain values ({error})") from error
    if missing := [key for key in KEYS if not isinstance(found, dict) or key not in found]:
        raise CheckpointError(f"{path}: lacks {', '.join(missing)}")
    # torch.nn.DataParallel puts its own name before all others.
    weights = {name.removeprefix("module."): tensor for name, tensor in found["model_state_dict"].items()}
    # Its optimizer numbers the parameters in an order of its own: training goes on with a fresh one.
    return Checkpoint(architecture, weights, {}, int(found["epoch"]), float(found["best_dice"]))
