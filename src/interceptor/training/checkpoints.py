"""Checkpoints: tensors in safetensors, the rest in JSON beside them, each written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be used; the message names the file and what to do."""


def write_bytes(path: Path, data: bytes) -> None:
    """Write under a temporary name in the same folder, then rename: readers see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    write_bytes(path, save({name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}))


def write_json(path: Path, value: dict[str, Any]) -> None:
    write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Raises `CheckpointError` where the file is missing or damaged."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not a complete safetensors file ({error}); make it again") from error


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def adam_state(optimizer: torch.optim.Optimizer, names: list[str]) -> dict[str, torch.Tensor]:
    """Adam's moments and step counts as named tensors; `names` are those of the parameters in the optimizer's order."""
    state = optimizer.state_dict()["state"]
    return {
        f"{part}.{name}": state[i][part] for i, name in enumerate(names) for part in ("step", "exp_avg", "exp_avg_sq")
    }


def restore_adam(optimizer: torch.optim.Optimizer, names: list[str], tensors: dict[str, torch.Tensor]) -> None:
    """Raises `CheckpointError` where `tensors` are of another network."""
    parts = ("step", "exp_avg", "exp_avg_sq")
    if missing := [name for name in names if f"step.{name}" not in tensors]:
        raise CheckpointError(
            f"the run's last checkpoint knows nothing of {missing[0]}: another version made it; choose a new folder"
        )
    state = {i: {part: tensors[f"{part}.{name}"] for part in parts} for i, name in enumerate(names)}
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
