"""What a stage starts from: pre-trained weights, none, the final of the stage before, or a file from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from interceptor.models.backbones import BACKBONES, Backbone
from interceptor.models.foundation import ARCHITECTURE, base_from_timm
from interceptor.models.modules import module_spec
from interceptor.models.specialist import SpecialistModel
from interceptor.runtime.weights import FOLDER as SHIPPED
from interceptor.training.checkpoints import CheckpointError, sha256
from interceptor.training.export import load_base
from interceptor.training.stages import snapshots
from interceptor.training.stages.legacy import match, read_foreign
from interceptor.training.stages.recipe import Recipe

FOUNDATION = "clip_vit_b16"
BASE_FILE = SHIPPED / "foundation.safetensors"
Remark = Callable[[str], None]


class Trained(nn.Module):
    """What is trained and kept of a specialist: all of it, or its head beside a frozen backbone.

    Takes crops `uint8[n, 3, 224, 224]`, or a frozen backbone's tokens `[n, 49, w]`, and the lens `float32[n, 3, s, s]`;
    gives logits `[n, 2]`.
    """

    def __init__(self, model: SpecialistModel, recipe: Recipe) -> None:
        super().__init__()
        self.head = model.head
        self.frozen = recipe.frozen
        if recipe.backbone != FOUNDATION:  # the foundation is a file of its own, never changed
            self.backbone = model.backbone.requires_grad_(not self.frozen)

    def train(self, mode: bool = True) -> Trained:
        super().train(mode)
        if self.frozen and hasattr(self, "backbone"):
            self.backbone.eval()
        return self

    def forward(self, seen: Tensor, lens: Tensor) -> Tensor:
        tokens, pooled = (seen, seen.mean(1)) if self.frozen else self.backbone(seen)
        return self.head(tokens, pooled, lens)


@dataclass(frozen=True)
class Start:
    """A model before its first step."""

    model: SpecialistModel
    trained: Trained
    facts: dict[str, Any]
    """of its weights: `init`, and what they were; for the run's card"""


def build(
    code: str,
    recipe: Recipe,
    init: str | None,
    finals: Path,
    convention: str,
    anyway: bool = False,
    remark: Remark = print,
) -> Start:
    """The specialist `code` with the weights that the stage starts from.

    `init` is `hub`, `none`, a file, or None for what the recipe says: a name such as `stage1_final` is looked for in
    `finals`. `convention` is how the crops at hand were cut. A checkpoint of this project must be of the same
    specialist, of the stage that the recipe starts from and of the same crop convention, unless `anyway`; what matched
    of any other file is told to `remark`.

    Raises `CheckpointError` where weights cannot be had or do not fit: a run never goes on from fresh ones instead.
    """
    torch.manual_seed(recipe.seed)
    how = init or recipe.starts_from
    if init is None and how not in ("hub", "none"):
        file = snapshots.find(finals / f"{how}.safetensors")
        if file is None:
            raise CheckpointError(
                f"{finals / how}.safetensors: no such file. This stage starts from {how}: train that stage first, "
                "or say --init FILE, hub or none"
            )
    else:
        file = None if how in ("hub", "none") else Path(how)
    backbone, facts = _backbone(recipe, how, file)
    model = SpecialistModel(module_spec(code), backbone, recipe.fusion, recipe.dropout)
    trained = Trained(model, recipe)
    if file is not None and (recipe.backbone != FOUNDATION or snapshots.side_file(file).is_file()):
        facts = {**facts, **_load(trained, file, code, recipe, convention, anyway, remark)}
    return Start(model, trained, {"init": how if file is None else file.name, **facts})


def _backbone(recipe: Recipe, how: str, file: Path | None) -> tuple[Backbone, dict[str, Any]]:
    row = BACKBONES[recipe.backbone]
    if recipe.backbone == FOUNDATION:
        if how == "none":
            vit = timm.create_model(ARCHITECTURE, pretrained=False, num_classes=0)
            return row.build(base_from_timm(vit.state_dict())), {"what": "random weights"}
        own = file is None or snapshots.side_file(file).is_file()  # a specialist's file holds its head alone
        base = BASE_FILE if own or file is None else file
        return row.build(load_base(base)), {"what": row.start, "base_sha256": sha256(base)}
    backbone = row.build()
    if how == "hub":
        name = backbone.network.default_cfg["architecture"]
        try:
            weights = timm.create_model(name, pretrained=True, num_classes=0).state_dict()
        except Exception as error:  # the hub's client raises its own kinds for each way to fail
            raise CheckpointError(
                f"the pre-trained weights of {name} cannot be had ({type(error).__name__}); "
                "give a file (--init FILE) or train from random weights (--init none)"
            ) from error
        backbone.network.load_state_dict(weights)
        return backbone, {"what": row.start}
    return backbone, {"what": "random weights"} if how == "none" else {}


def new_backbone(recipe: Recipe, start: dict[str, Any]) -> Backbone:
    """The backbone of a checkpoint that had this `start`: without its weights, unless it is the foundation, whose are
    not in the checkpoint. Raises `CheckpointError` where that was another base than the one that ships.
    """
    if recipe.backbone != FOUNDATION:
        return BACKBONES[recipe.backbone].build()
    if start.get("base_sha256") != sha256(BASE_FILE):
        raise CheckpointError(f"the base of this checkpoint ({start['what']}) is not the one that ships")
    return BACKBONES[FOUNDATION].build(load_base(BASE_FILE))


def _load(
    trained: Trained, file: Path, code: str, recipe: Recipe, convention: str, anyway: bool, remark: Remark
) -> dict[str, Any]:
    """Put the weights of `file` into `trained`; what it was."""
    if snapshots.side_file(file).is_file():
        tensors, facts = snapshots.read_weights(file)
        _check(file, facts, code, recipe, convention, anyway, remark)
    else:
        tensors, facts = read_foreign(file)
    state = trained.state_dict()
    whole = match(tensors, state)
    backbone = match(tensors, state, "backbone.network.")
    alone = len(backbone.tensors) > len(whole.tensors)
    found = backbone if alone else whole
    remark(
        f"{file.name}: {found.report()}" + (" (the backbone alone; module and head start at random)" if alone else "")
    )
    if not found.tensors:
        raise CheckpointError(f"{file}: nothing in it fits this network: {found.report()}")
    if (found.missing or found.reshaped or (found.unknown and not alone)) and not anyway:
        raise CheckpointError(
            f"{file}: fits in part only: {found.report()}. Say --anyway to start from what fits, or choose --init none"
        )
    trained.load_state_dict(found.tensors, strict=False)
    kept: dict[str, Any] = {
        key: facts[key] for key in ("code", "stage", "final", "epoch", "best_acc", "metrics") if key in facts
    }
    return {
        "what": "backbone" if alone else "specialist",
        "sha256": sha256(file),
        "matched": len(found.tensors),
        **kept,
    }


def _check(
    file: Path, facts: dict[str, Any], code: str, recipe: Recipe, convention: str, anyway: bool, remark: Remark
) -> None:
    """That a checkpoint of this project may be started from."""
    wrong = [
        f"{what}: it is {is_!r}, this run needs {needed!r}"
        for what, is_, needed in (
            ("specialist", facts.get("code"), code),
            ("stage", facts.get("final"), recipe.starts_from),
            ("crop convention", facts.get("crop_convention"), convention),
            ("backbone", facts.get("recipe", {}).get("backbone"), recipe.backbone),
        )
        if is_ != needed
    ]
    if recipe.backbone == FOUNDATION and facts.get("start", {}).get("base_sha256") not in (None, sha256(BASE_FILE)):
        wrong.append("base: its tokens come of another base than the one that ships")
    if wrong and not anyway:
        raise CheckpointError(f"{file}: another {'; another '.join(wrong)}. Say --anyway to start from it all the same")
    if wrong:
        remark(f"{file.name}: another {'; another '.join(wrong)}; started from all the same")
