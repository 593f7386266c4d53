"""A trained specialist read again, and what it says of rows of a prepared folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from interceptor.datasets.shards import Shards
from interceptor.models.modules import module_spec
from interceptor.models.specialist import SpecialistModel
from interceptor.training.checkpoints import CheckpointError
from interceptor.training.stages import snapshots
from interceptor.training.stages.balance import Draw
from interceptor.training.stages.data import Batch, Samples, on
from interceptor.training.stages.recipe import Recipe
from interceptor.training.stages.starts import Trained, new_backbone
from interceptor.training.stages.validation import Scores, gathered

Encode = Callable[[Batch], Tensor]
"""What a network is given of a batch: its crops, or a frozen backbone's tokens of them."""
CPU = torch.device("cpu")


def read_specialist(code: str, path: Path) -> tuple[SpecialistModel, dict[str, Any]]:
    """The specialist whose weights are at `path` (ends in .safetensors), in evaluation mode, and what is known of it.

    Raises `CheckpointError` where the file is missing, damaged, or another specialist's.
    """
    file = snapshots.find(path)
    if file is None:
        raise CheckpointError(f"{path}: no such file; give the folder of a stage's run")
    tensors, facts = snapshots.read_weights(file)
    if facts["code"] != code:
        raise CheckpointError(f"{file}: the specialist {facts['code']}, not {code}")
    recipe = Recipe(**facts["recipe"])
    backbone = new_backbone(recipe, facts["start"])
    model = SpecialistModel(module_spec(code), backbone, recipe.fusion, recipe.dropout)
    try:
        Trained(model, recipe).load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{file}: holds another network than its recipe says: {error}") from error
    return model.eval(), facts


@torch.no_grad()
def score_rows(
    model: nn.Module,
    encode: Encode,
    shards: Shards,
    code: str,
    recipe: Recipe,
    places: Sequence[int],
    device: torch.device = CPU,
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Scores:
    """Logits of `model` (takes what `encode` gives, and the lens) on rows, in evaluation mode, without augmentation;
    rows whose lens abstains are left out.
    """
    model.eval()
    order = [[Draw(i, 0) for i in places[at : at + recipe.batch]] for at in range(0, len(places), recipe.batch)]
    samples = Samples(shards, code, recipe, places, training=False)
    parts = [Scores(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for read in DataLoader(samples, batch_size=None, sampler=order, num_workers=recipe.workers):
        if not len(read.labels):
            continue
        batch = on(device, read, recipe.channels_last)
        with autocast():
            logits = model(encode(batch), batch.lens).float()
        found = (logits[:, 1] - logits[:, 0]).double().cpu().numpy()
        parts.append(Scores(read.rows.numpy(), read.labels.numpy(), found))
    return gathered(parts)
