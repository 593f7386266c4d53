"""A stage of a specialist's training from end to end: checks before anything is spent, the loop, the finals."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from interceptor import __version__
from interceptor.datasets.lock import alone_in
from interceptor.datasets.shards import Shards
from interceptor.training import checkpoints
from interceptor.training.checkpoints import CheckpointError
from interceptor.training.screen import Report
from interceptor.training.stages import snapshots
from interceptor.training.stages.balance import Draw
from interceptor.training.stages.data import Batch, DataError, Plan, Samples, crop_convention, on, plan
from interceptor.training.stages.loop import Loop
from interceptor.training.stages.notebook import offer_download
from interceptor.training.stages.recipe import Recipe
from interceptor.training.stages.scoring import Encode
from interceptor.training.stages.starts import Start, build
from interceptor.training.stages.token_store import TokenStore, open_tokens

PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
LAST_FINAL = "stage4_final"
STANDARD, LOOKS, BATCH = 128, 32, 16
"""Training samples whose tokens say what is usual, how many of their lenses do, and how many are seen at once."""


@dataclass(frozen=True)
class Job:
    """What is to be trained, on what, where to."""

    code: str
    stage: str
    recipe: Recipe
    data: Path
    out: Path
    """folder of the specialist: its finals lie there, each stage's run in a folder of its name"""
    init: str | None = None
    anyway: bool = False
    device: str = "auto"
    """auto, cpu or cuda"""
    devices: int = 1
    command: str = ""

    @property
    def folder(self) -> Path:
        return self.out / self.stage


def train_stage(
    job: Job,
    report: Report,
    remark: Callable[[str], None] = print,
    after_epoch: Callable[[Path], None] = lambda folder: None,
    until: float | None = None,
) -> dict[str, Any]:
    """Run `job`, or go on with it, to its end or until `time.monotonic()` passes `until`; returns the run's card.

    The folder gets `run.json`, `checkpoints/`, `best.safetensors`, TensorBoard's events; a finished stage leaves its
    best weights in `out` under the recipe's `final`, and the last stage under `CODE_model_student` too. `after_epoch`
    is given the folder. Raises `DataError`, `ShardError`, `CheckpointError`, and `FolderBusyError`
    where another process trains there, before the first step.
    """
    recipe = job.recipe
    fabric = _fabric(job)
    fabric.launch()
    if not fabric.is_global_zero:
        report, remark = (lambda *_: None), (lambda _: None)
    shards = Shards(job.data)
    chosen = plan(shards, job.code, recipe)
    _tell(chosen, remark)
    start = build(job.code, recipe, job.init, job.out, crop_convention(shards), job.anyway, remark)
    facts = _facts(job, start, shards)
    card_file = job.folder / "run.json"
    _same_run(card_file, facts)
    store = None
    if recipe.frozen:
        store = open_tokens(job.data, len(shards.rows), start.model.backbone, recipe, fabric.device)
    snapshots.check_room(job.folder, _room(recipe, start), "the checkpoints of this run")
    if store is not None:
        snapshots.check_room(job.data, _token_room(recipe, chosen, store), "tokens beside the shards")
    card: dict[str, Any] = {**facts, "command": job.command, "data_counts": _counts(shards, chosen), "history": []}

    def write_card(loop: Loop, finished: bool) -> None:
        card.update(history=loop.history, steps=loop.total, done=loop.place.done, finished=finished)
        best = job.folder / "best.json"
        if best.is_file():
            card["best"] = json.loads(best.read_text(encoding="utf-8"))
        checkpoints.write_json(card_file, card)

    def measured(entry: dict[str, Any]) -> None:
        for name in ("train_loss", "loss", "auc", "accuracy_authentic", "accuracy_forged"):
            board.add_scalar(name, entry[name], entry["step"])
        board.flush()
        write_card(loop, finished=False)
        after_epoch(job.folder)

    def encode(batch: Batch) -> Tensor:
        return batch.crops if store is None else store(batch.rows, batch.crops)

    if recipe.fusion == "tokens" and start.facts["what"] != "specialist":
        _standardise(job, start, shards, chosen, encode, fabric.device)
    loop = Loop(
        fabric, start.trained, encode, shards, job.code, chosen, recipe, job.folder, facts, report, remark, measured
    )
    with alone_in(job.folder) if fabric.is_global_zero else nullcontext():
        loop.restore()
        fabric.barrier()
        if fabric.is_global_zero:
            board = SummaryWriter(str(job.folder / "events"), purge_step=loop.place.done + 1)
            write_card(loop, finished=False)
        finished = loop.run(until)
        if fabric.is_global_zero:
            board.close()
            write_card(loop, finished)
            if finished:
                _finish(job, remark)
            after_epoch(job.folder)
    return card


def _fabric(job: Job) -> Fabric:
    """Raises `DataError` for a device or a precision that this machine does not have."""
    cuda = torch.cuda.is_available()
    if job.device == "cuda" and not cuda:
        raise DataError("no GPU: PyTorch finds none that it can use; check `nvidia-smi`, or say --device cpu")
    if job.device != "cpu" and cuda and job.devices > torch.cuda.device_count():
        raise DataError(f"{job.devices} GPUs were asked for; there are {torch.cuda.device_count()}")
    accelerator = "cuda" if cuda and job.device != "cpu" else "cpu"
    if accelerator == "cpu" and job.recipe.precision == "16":
        raise DataError("precision 16 needs a GPU; on a CPU say --set precision=bf16 or 32")
    strategy = "ddp" if job.devices > 1 else "auto"
    return Fabric(
        accelerator=accelerator, devices=job.devices, strategy=strategy, precision=PRECISIONS[job.recipe.precision]
    )


def _tell(chosen: Plan, remark: Callable[[str], None]) -> None:
    if chosen.left_out:
        remark(f"{chosen.left_out} samples lack the views that this lens looks at; they are left out")
    if chosen.unused_chunks:
        names = ", ".join(map(str, chosen.unused_chunks))
        remark(f"chunks {names} are in the data but not in the recipe; they are not trained on")


def _facts(job: Job, start: Start, shards: Shards) -> dict[str, Any]:
    """What each checkpoint of the run says of itself."""
    return {
        "model": f"{job.code}_specialist",
        "code": job.code,
        "stage": job.stage,
        "final": job.recipe.final,
        "recipe": job.recipe.model_dump(mode="json"),
        "preprocessing": list(job.recipe.preprocessing),
        "crop_convention": crop_convention(shards),
        "start": start.facts,
        "data": {"folder": job.data.name, "manifest_sha256": checkpoints.sha256(job.data / "manifest.csv")},
        "devices": job.devices,
        "versions": {"interceptor": __version__, "torch": torch.__version__, "lightning": lightning.__version__},
    }


def _same_run(card: Path, facts: dict[str, Any]) -> None:
    """That a folder with a run in it holds this one. The machine's own settings may change."""
    if not card.is_file():
        return
    found = json.loads(card.read_text(encoding="utf-8"))
    free = {"workers", "save_every", "compress", "compile"}

    def deciding(one: dict[str, Any]) -> dict[str, Any]:
        recipe = {key: value for key, value in one["recipe"].items() if key not in free}
        return {**{key: one[key] for key in ("code", "stage", "data", "start", "devices")}, "recipe": recipe}

    old, new = deciding(found), deciding(facts)
    if different := [key for key in new if old[key] != new[key]]:
        what = " and ".join(different)
        if different == ["recipe"]:
            what += f" ({', '.join(k for k, v in new['recipe'].items() if old['recipe'].get(k) != v)})"
        raise CheckpointError(f"{card}: holds a run with another {what}; choose a new folder (--out) or remove it")


def _room(recipe: Recipe, start: Start) -> int:
    """Bytes: checkpoints with Adam's moments (and averages), one more while it is written, best and finals."""
    weights = sum(tensor.nbytes for tensor in start.trained.state_dict().values())
    return weights * (3 + bool(recipe.ema)) * (snapshots.KEPT + 1) + 4 * weights


def _token_room(recipe: Recipe, chosen: Plan, store: TokenStore) -> int:
    """Bytes of the tokens that are not there yet, of the rows that the run can draw at most."""
    train = [i for chunk in chosen.chunks for i in chunk.places]
    drawn = recipe.epoch_samples * recipe.epochs * len(chosen.chunks) or len(train)
    return store.room(chosen.validation) + min(store.room(train), drawn * store.row_bytes)


def _counts(shards: Shards, chosen: Plan) -> dict[str, Any]:
    authentic, forged = chosen.counts(shards)
    return {
        "train": {"authentic": authentic, "forged": forged},
        "validation": len(chosen.validation),
        "chunks": {chunk.name: len(chunk.places) for chunk in chosen.chunks},
        "left_out": chosen.left_out,
    }


@torch.no_grad()
def _standardise(job: Job, start: Start, shards: Shards, chosen: Plan, encode: Encode, device: torch.device) -> None:
    """Bring what a fresh token fusion adds up to one scale, by some training samples.

    What the module makes of a lens is small at first, and is not heard for a hundred steps: the first weights on its
    features are divided by their standard deviation.
    """
    train = [i for chunk in chosen.chunks for i in chunk.places]
    some = train[:: max(1, len(train) // STANDARD)][:STANDARD]
    samples = Samples(shards, job.code, job.recipe, train, training=True)
    parts = [samples[[Draw(i, i) for i in some[at : at + BATCH]]] for at in range(0, len(some), BATCH)]
    if job.recipe.frozen:
        tokens = [encode(on(device, part, channels_last=False)).cpu() for part in parts]
    else:
        tokens = [start.model.backbone.eval()(part.crops)[0] for part in parts]
    head, usual = start.model.head, torch.cat(tokens).float().flatten(0, 1)
    head.fusion.mean.copy_(usual.mean(0))
    head.fusion.std.copy_(usual.std(0).clamp_min(1e-3))
    seen = torch.cat([part.lens for part in parts])
    some_seen = seen[:: max(1, len(seen) // LOOKS)].float().contiguous(memory_format=torch.channels_last)
    features = copy.deepcopy(head.module).train()(some_seen)
    head.fusion.features.weight.div_(features.std((0, 2, 3)).clamp_min(1e-3))


def _finish(job: Job, remark: Callable[[str], None]) -> None:
    """The best weights under the stage's final name, checked once more."""
    best = snapshots.find(job.folder / "best.safetensors")
    if best is None:
        raise CheckpointError(f"{job.folder / 'best.safetensors'}: no such file, though the run is finished")
    tensors, facts = snapshots.read_weights(best)
    names = [job.recipe.final] + ([f"{job.code}_model_student"] if job.recipe.final == LAST_FINAL else [])
    for name in names:
        file = snapshots.write_weights(job.out / f"{name}.safetensors", tensors, facts, job.recipe.compress)
        remark(f"{file}: best of the stage, AUC {facts['measured']['auc']:.3f} on validation")
        offer_download(file)
