"""Weights that others saved: `.pt` dictionaries and bare safetensors, matched by name and shape, with a report."""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interceptor.training.checkpoints import CheckpointError, read_tensors

WRAPPERS = re.compile(r"^(?:module\.|_orig_mod\.|model\.)+")
"""What wrappers put before names."""
NAMED = 5
"""Names that a report spells out."""


@dataclass(frozen=True)
class Match:
    """Which tensors of a file fit a network."""

    tensors: dict[str, Tensor]
    """by the network's names"""
    missing: tuple[str, ...]
    """of the network, not in the file"""
    unknown: tuple[str, ...]
    """in the file, not of the network"""
    reshaped: tuple[str, ...]
    """in both, with another shape"""

    def report(self) -> str:
        parts = [f"{len(self.tensors)} tensors matched"]
        for names, what in (
            (self.missing, "missing in the file"),
            (self.unknown, "unknown to the network"),
            (self.reshaped, "of another shape"),
        ):
            if names:
                more = ", ..." if len(names) > NAMED else ""
                parts.append(f"{len(names)} {what} ({', '.join(names[:NAMED])}{more})")
        return "; ".join(parts)


def read_foreign(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and facts of a file from elsewhere: `.safetensors`, or a `.pt`/`.pth` dictionary.

    Such a dictionary is the weights, or holds them under `model_state_dict` beside `optimizer_state_dict`, `epoch` and
    `best_acc` or `metrics`; numbers and strings among them are the facts. It is read with `weights_only=True`: no code
    in it runs. Raises `CheckpointError`.
    """
    if path.suffix == ".safetensors":
        return read_tensors(path), {}
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).split("\n", 1)[0]
        raise CheckpointError(f"{path}: not a dictionary of tensors that can be read safely ({reason})") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: holds {type(found).__name__}, not a dictionary")
    weights = found.get("model_state_dict", found.get("state_dict", found))
    tensors = {name: value for name, value in dict(weights or {}).items() if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(f"{path}: no tensors under model_state_dict; its keys are {', '.join(map(str, found))}")
    facts = {
        key: found[key] for key in ("epoch", "best_acc", "metrics") if isinstance(found.get(key), int | float | dict)
    }
    return tensors, facts


def match(tensors: dict[str, Tensor], state: dict[str, Tensor], prefix: str = "") -> Match:
    """What of `tensors` fits the network with this `state`; wrappers' prefixes are taken off, `prefix` is put on."""
    named = {prefix + WRAPPERS.sub("", name): tensor for name, tensor in tensors.items()}
    fits = {n: t for n, t in named.items() if n in state and t.shape == state[n].shape}
    return Match(
        {name: tensor.to(state[name].dtype) for name, tensor in fits.items()},
        tuple(name for name in state if name.startswith(prefix) and name not in named),
        tuple(name for name in named if name not in state),
        tuple(name for name in named if name in state and name not in fits),
    )
