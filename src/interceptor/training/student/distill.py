"""Distillation: a student learns a teacher's logits on every face at hand, and the labels where there are any.

Soft targets at a temperature: Hinton, Vinyals, Dean 2015 (arXiv 1503.02531).
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from interceptor import __version__
from interceptor.metrics.classification import roc_auc
from interceptor.models.student import BACKBONE, STAGES, Student, start
from interceptor.runtime.network import Network
from interceptor.training import checkpoints
from interceptor.training.features import images
from interceptor.training.optimizer import adamw
from interceptor.training.student.data import UNKNOWN, DistillBatches, Faces, read_logits, teach

Report = Callable[[str, int, int, str], None]
"""(stage, done, total, note): how a run tells of its progress."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run beside its data. Every key can be set from the command line."""

    steps: int = 2000
    pairs: int = 16
    """pairs in a batch"""
    size: int = 160
    """pixels that the network looks at, in each direction"""
    frozen: int = 2
    """stages (of 7) that stay as they started, the stem with them; -1: none, not even the stem"""
    lr: float = 5e-4
    """peak learning rate (AdamW, cosine, linear warm-up)"""
    warmup: int = 100
    weight_decay: float = 0.01
    temperature: float = 2.0
    """the teacher's logits are divided by it"""
    labels: float = 0.5
    """share of the label in the target, where there is a label; the rest is the teacher's"""
    augmented: float = 0.5
    """share of pairs that are augmented"""
    ema: float = 0.995
    """decay of the averaged parameters, which are the ones measured and kept"""
    validate_every: int = 250
    validate_crops: int = 400
    """crops of each validation set at a check, at most"""
    seed: int = 1


def read_start(init: str) -> dict[str, Tensor] | None:
    """Weights to start from: a safetensors file with timm's names, `hub` (ImageNet by timm), or `none`.

    Raises `CheckpointError`.
    """
    if init == "none":
        return None
    if init != "hub":
        return checkpoints.read_tensors(Path(init))
    import timm

    try:
        return timm.create_model(f"tf_{BACKBONE}", pretrained=True).state_dict()
    except Exception as error:  # whatever the hub's client raises without a network
        raise checkpoints.CheckpointError(f"--init hub: the hub cannot be reached ({error}); give a file") from error


def targets(labels: Tensor, logits: Tensor, recipe: Recipe) -> Tensor:
    """Probabilities to learn `float32[n]`: the teacher's, softened, mixed with the label where it is known."""
    soft = torch.sigmoid(logits / recipe.temperature)
    return torch.where(labels == UNKNOWN, soft, recipe.labels * labels + (1 - recipe.labels) * soft)


class DistillRun:
    """One run in one folder: started, stopped and resumed at will.

    `teacher.csv` are the teacher's logits as far as they were computed, `last.*` is what a resumed run continues from,
    `best.*` the averaged student that measured best on validation, `run.json` the card.

    Raises `CheckpointError` for a folder that holds another run, `ValueError` for data of no use.
    """

    def __init__(
        self,
        teacher: Path,
        data: Sequence[Path],
        unlabelled: Sequence[Path],
        init: str,
        folder: Path,
        recipe: Recipe,
        report: Report,
    ) -> None:
        self.teacher, self.init, self.folder, self.recipe, self.report = teacher, init, folder, recipe, report
        if not -1 <= recipe.frozen <= STAGES:
            raise ValueError(f"frozen={recipe.frozen}: expected -1 to {STAGES}")
        self.train = Faces.read(data, "train", unlabelled)
        self.validation = Faces.read(data, "val")
        if not self.train.crops or not self.validation.crops:
            raise ValueError("the data hold no crops of the split train, or none of the split val")
        self.command = ""
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.card = self._card([*data, *unlabelled])

    def _card(self, folders: list[Path]) -> dict[str, Any]:
        if not self.teacher.is_file():
            raise checkpoints.CheckpointError(f"{self.teacher}: no such teacher; expected an ONNX file or a CSV")
        init = Path(self.init)
        card: dict[str, Any] = {
            "model": "student",
            "interceptor": __version__,
            "torch": torch.__version__,
            "recipe": dataclasses.asdict(self.recipe),
            "teacher": {"file": self.teacher.name, "sha256": checkpoints.sha256(self.teacher)},
            "start": {"file": init.name, "sha256": checkpoints.sha256(init)} if init.is_file() else self.init,
            "data": {
                folder.resolve().name: {
                    "index_sha256": checkpoints.sha256(index) if (index := folder / "index.csv").is_file() else None,
                    "train": sum(crop.dataset == folder.resolve().name for crop in self.train.crops),
                    "val": sum(crop.dataset == folder.resolve().name for crop in self.validation.crops),
                }
                for folder in folders
            },
            "history": [],
        }
        file = self.folder / "run.json"
        if file.is_file():
            found = json.loads(file.read_text())
            different = [key for key in ("recipe", "teacher", "start", "data") if found[key] != card[key]]
            if different:
                what = " and ".join(different)
                raise checkpoints.CheckpointError(
                    f"{file}: holds a run with another {what}; choose a new folder (--out)"
                )
            card |= {key: found[key] for key in ("history", "best") if key in found}
        return card

    def _taught(self, until: float | None) -> tuple[np.ndarray, np.ndarray] | None:
        """The teacher's logits of training and validation crops; None where time ran out."""
        every = Faces(self.validation.crops + self.train.crops, self.validation.names + self.train.names)
        if self.teacher.suffix == ".csv":
            known = read_logits(self.teacher)
        else:
            network = Network(self.teacher, outputs=("logit",))
            done = 0

            def advance(count: int) -> bool:
                nonlocal done
                done += count
                self.report("teacher", done, len(every.names), "logits")
                return until is None or time.monotonic() < until

            known = teach(lambda crops: network(crops)[0], every, self.folder / "teacher.csv", advance)
            if done < len(every.names):
                return None
        missing = [name for name in every.names if name not in known]
        if missing:
            raise ValueError(f"{self.teacher}: no logit for {len(missing)} crops, {missing[0]} the first")
        if broken := [name for name in every.names if not math.isfinite(known[name])]:
            raise ValueError(f"{self.teacher}: no number for {len(broken)} crops, {broken[0]} the first")
        train, val = (np.array([known[name] for name in f.names]) for f in (self.train, self.validation))
        return train, val

    def run(self, until: float | None = None) -> dict[str, Any]:
        """Train to the recipe's last step, or stop cleanly (everything saved) once `time.monotonic()` passes
        `until`.
        """
        recipe = self.recipe
        self.card["command"] = self.command
        taught = self._taught(until)
        if taught is None:
            return self.card
        logits, self.truth = taught
        torch.manual_seed(recipe.seed)
        student = Student(recipe.size)
        last = self.folder / "last.safetensors"
        state = checkpoints.read_tensors(last) if last.is_file() else None
        if state is not None:
            student.load_state_dict({name: state[f"student.{name}"] for name in student.state_dict()})
        elif (weights := read_start(self.init)) is not None:
            start(student, weights)
        student = student.to(self.device, memory_format=torch.channels_last)
        frozen = student.stages(recipe.frozen)
        for module in frozen:
            module.requires_grad_(False)
        optimizer, names = adamw(student, recipe.lr, recipe.weight_decay)
        average = copy.deepcopy(student)
        begin = 0
        if state is not None:
            average.load_state_dict({name: state[f"ema.{name}"] for name in student.state_dict()})
            checkpoints.restore_adam(optimizer, names, state)
            begin = int(state["step"])
        batches = DistillBatches(
            self.train.crops,
            logits,
            steps=recipe.steps,
            pairs=recipe.pairs,
            augmented=recipe.augmented,
            seed=recipe.seed,
        )
        loader = DataLoader(
            batches, batch_size=None, sampler=range(begin, recipe.steps), num_workers=1, prefetch_factor=4
        )
        losses: list[float] = []
        for step, (batch, labels, soft) in enumerate(loader, begin + 1):
            _train_mode(student, frozen)
            for group in optimizer.param_groups:
                group["lr"] = recipe.lr * _factor(step, recipe)
            torch.manual_seed(recipe.seed + step)  # dropout depends on the step alone, also in a resumed run
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
                found = student(batch.to(self.device))
            wanted = targets(labels, soft, recipe).to(self.device)
            loss = functional.binary_cross_entropy_with_logits(found.float(), wanted)
            if not torch.isfinite(loss):
                raise FloatingPointError(f"step {step}: the loss is {loss.item()}; lower --set lr")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
            _follow(average, student, min(recipe.ema, step / (step + 9)))
            losses.append(loss.item())
            self.report("training", step, recipe.steps, f"loss {np.mean(losses[-50:]):.3f}")
            stopping = until is not None and time.monotonic() > until
            if step % recipe.validate_every == 0 or step == recipe.steps or stopping:
                tensors = {
                    **{f"student.{name}": tensor for name, tensor in student.state_dict().items()},
                    **{f"ema.{name}": tensor for name, tensor in average.state_dict().items()},
                    **checkpoints.adam_state(optimizer, names),
                    "step": torch.tensor(step),
                }
                # First: of a run killed in between, the steps since the last checkpoint are done and measured again.
                self._check(average, step, float(np.mean(losses[-recipe.validate_every :])))
                checkpoints.write_tensors(last, tensors)
            if stopping:
                break
        return self.card

    def _check(self, student: Student, step: int, loss: float) -> None:
        """Measure the averaged student on validation, note it, and keep it where it is the best so far.

        What decides: the mean of the data sets' AUC against the labels and of the correlation with the teacher.
        """
        limit = self.recipe.validate_crops
        sets = np.array([crop.dataset for crop in self.validation.crops])
        labels = np.array([crop.label for crop in self.validation.crops])
        rows = np.concatenate(
            [np.random.default_rng(0).permutation(np.flatnonzero(sets == name))[:limit] for name in np.unique(sets)]
        )
        sets, labels, truth, found = sets[rows], labels[rows], self.truth[rows], self.score(student, rows)
        likeness = float(np.corrcoef(found, truth)[0, 1])
        entry: dict[str, Any] = {"step": step, "loss": round(loss, 4), "like_teacher": round(likeness, 4)}
        aucs: list[float] = []
        for name in map(str, np.unique(sets)):
            chosen = sets == name
            if len(set(labels[chosen])) == 2:
                aucs.append(roc_auc(labels[chosen], found[chosen]))
                teacher = roc_auc(labels[chosen], truth[chosen])
                entry[name] = {"auc": round(aucs[-1], 4), "teacher": round(teacher, 4)}
        entry["selection"] = round((float(np.mean(aucs)) + likeness) / 2 if aucs else likeness, 4)
        self.report("validation", step, self.recipe.steps, str(entry))
        history = self.card["history"]
        history[:] = [old for old in history if old["step"] < step]
        if entry["selection"] > max((old["selection"] for old in history), default=-math.inf):
            checkpoints.write_tensors(self.folder / "best.safetensors", student.state_dict())
            self.card["best"] = entry
        history.append(entry)
        checkpoints.write_json(self.folder / "run.json", self.card)

    @torch.no_grad()
    def score(self, student: Student, rows: np.ndarray, batch: int = 32) -> np.ndarray:
        """Logits float64[n] of validation crops, in evaluation mode."""
        student.eval()
        crops = [self.validation.crops[i] for i in rows]
        parts = [
            student(images(crops[i : i + batch]).to(self.device)).float().cpu() for i in range(0, len(crops), batch)
        ]
        return torch.cat(parts).double().numpy()


def _train_mode(student: Student, frozen: list[nn.Module]) -> None:
    """Training mode, but for frozen stages: their batch norms keep their statistics."""
    student.train()
    for module in frozen:
        module.eval()


@torch.no_grad()
def _follow(average: Student, student: Student, decay: float) -> None:
    """Parameters and batch-norm statistics move towards the student's."""
    for old, new in zip(average.state_dict().values(), student.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - decay)


def _factor(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then a cosine to a hundredth."""
    if step <= recipe.warmup:
        return step / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))
