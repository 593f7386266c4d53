"""Training the screen: a read-out fitted to frozen features, then norms, biases and read-out tuned together."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader

from interceptor import __version__
from interceptor.datasets.crops import Crop, read_index
from interceptor.metrics.classification import roc_auc
from interceptor.models.foundation import Foundation
from interceptor.models.screen import Readout, Screen
from interceptor.training import checkpoints
from interceptor.training.features import balanced_weights, fit_readout, foundation_network, frozen_features, images
from interceptor.training.sampling import PairBatches

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

AnyRecipe = TypeVar("AnyRecipe", bound="DataclassInstance")
Report = Callable[[str, int, int, str], None]
"""(stage, done, total, note): how a run tells of its progress."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run beside its data. Every key can be set from the command line."""

    steps: int = 900
    pairs: int = 16
    """authentic and forged pairs in a batch"""
    lr: float = 1e-3
    """peak learning rate of norms and biases (AdamW, cosine, linear warm-up)"""
    readout_lr: float = 1e-4
    warmup: int = 60
    weight_decay: float = 0.0
    label_smoothing: float = 0.02
    self_blend: float = 0.15
    """share of pairs whose forgery is a self-blended face"""
    ema: float = 0.99
    """decay of the averaged parameters, which are the ones measured and kept"""
    warm_crops: int = 30000
    """crops of each training set for the warm start, at most"""
    warm_copies: int = 3
    """augmented copies of a crop for the warm start, at most"""
    warm_augmented: int = 6000
    """augmented copies of each training set for the warm start, at most"""
    warm_strength: float = 0.003
    """C of the warm start's logistic regression"""
    validate_every: int = 225
    validate_crops: int = 240
    """crops of each validation set at a check during the run, at most; the last check takes them all"""
    seed: int = 1


def override(recipe: AnyRecipe, settings: Sequence[str]) -> AnyRecipe:
    """The recipe with `key=value` settings applied. Raises `ValueError` naming the nearest key or the expected type."""
    import difflib

    fields = {field.name: field for field in dataclasses.fields(recipe)}
    values: dict[str, Any] = {}
    for setting in settings:
        key, _, text = setting.partition("=")
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            raise ValueError(
                f"{key!r} is not a setting" + (f"; did you mean {near[0]!r}?" if near else f": {', '.join(fields)}")
            )
        kind = type(getattr(recipe, key))
        try:
            values[key] = kind(text)
        except ValueError:
            raise ValueError(f"{key}={text!r}: expected a number ({kind.__name__})") from None
    return dataclasses.replace(recipe, **values)


class ScreenRun:
    """One training run in one folder: started, stopped and resumed at will.

    `last.*` is what a resumed run continues from, `best.*` the parameters that measured best on validation,
    `run.json` the card.
    """

    def __init__(
        self, base: dict[str, torch.Tensor], data: Sequence[Path], folder: Path, recipe: Recipe, report: Report
    ) -> None:
        self.folder, self.recipe, self.report = folder, recipe, report
        self.data = [Path(path) for path in data]
        self.train = [crop for path in self.data for crop in read_index(path, "train")]
        self.validation = {Path(path).name: read_index(path, "val") for path in self.data}
        self.base = base
        self.command = ""
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.card = self._card()

    def _card(self) -> dict[str, Any]:
        card: dict[str, Any] = {
            "model": "screen",
            "interceptor": __version__,
            "torch": torch.__version__,
            "recipe": dataclasses.asdict(self.recipe),
            "data": {
                path.name: {
                    "index_sha256": checkpoints.sha256(path / "index.csv"),
                    "train": sum(crop.dataset == path.name for crop in self.train),
                    "val": len(self.validation[path.name]),
                }
                for path in self.data
            },
            "history": [],
        }
        file = self.folder / "run.json"
        if file.is_file():
            found = json.loads(file.read_text())
            different = [key for key in ("recipe", "data") if found[key] != card[key]]
            if different:
                what = " and ".join(different)
                raise checkpoints.CheckpointError(
                    f"{file}: holds a run with another {what}; choose a new folder (--out)"
                )
            card["history"] = found["history"]
        return card

    def warm_start(self) -> Readout:
        """The read-out fitted to frozen features of an even choice of training crops; made once for a folder."""
        recipe = self.recipe
        sets = []
        for path in self.data:
            crops = [crop for crop in self.train if crop.dataset == path.name]
            # A longer warm start begins with the crops of a shorter one: their features are there already.
            some = [crops[i] for i in np.random.default_rng(recipe.seed).permutation(len(crops))[: recipe.warm_crops]]
            copies = [(crop, copy) for copy in range(1, 1 + recipe.warm_copies) for crop in some]
            sets += [[(crop, 0) for crop in some], copies[: recipe.warm_augmented]]
        total = sum(len(samples) for samples in sets)
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            self.report("warm start", done, total, "features")

        folder = self.folder / "features"
        network = foundation_network(self.base, folder)
        found = torch.cat([frozen_features(network, samples, folder, advance) for samples in sets])
        crops = [crop for samples in sets for crop, _ in samples]
        labels = np.array([crop.label for crop in crops])
        return fit_readout(found, labels, balanced_weights(crops), recipe.warm_strength)

    def run(self, until: float | None = None) -> dict[str, Any]:
        """Train to the recipe's last step, or stop cleanly (everything saved) once `time.monotonic()` passes
        `until`.
        """
        recipe = self.recipe
        self.card["command"] = self.command
        foundation = Foundation(self.base).half_matrices()
        last = self.folder / "last.safetensors"
        state = checkpoints.read_tensors(last) if last.is_file() else None
        readout = Readout(state["readout.mean"], state["readout.std"]) if state else self.warm_start()
        screen = Screen(foundation, readout).to(self.device)
        tuned = {**foundation.tunable(), **{f"readout.linear.{k}": p for k, p in readout.linear.named_parameters()}}
        for parameter in tuned.values():
            parameter.requires_grad_(True)
        names = list(tuned)
        optimizer = torch.optim.AdamW(
            [
                {"params": [tuned[n] for n in names if not n.startswith("readout.")], "lr": recipe.lr},
                {"params": [tuned[n] for n in names if n.startswith("readout.")], "lr": recipe.readout_lr},
            ],
            weight_decay=recipe.weight_decay,
        )
        start = 0
        if state is not None:
            with torch.no_grad():
                for name, parameter in tuned.items():
                    parameter.copy_(state[name])
            checkpoints.restore_adam(optimizer, names, state)
            average = {name: state[f"ema.{name}"].to(self.device) for name in names}
            start = int(state["step"])
        else:
            average = {name: parameter.detach().clone() for name, parameter in tuned.items()}
        batches = PairBatches(
            self.train, steps=recipe.steps, pairs=recipe.pairs, self_blend=recipe.self_blend, seed=recipe.seed
        )
        schedule = [_factor(step, recipe) for step in range(recipe.steps)]
        loader = DataLoader(
            batches, batch_size=None, sampler=range(start, recipe.steps), num_workers=1, prefetch_factor=4
        )
        if state is None:
            self._check(screen, tuned, average, 0)
        losses: list[float] = []
        screen.train()
        rates = [group["lr"] for group in optimizer.param_groups]
        for step, (batch, labels) in enumerate(loader, start):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * schedule[step]
            batch, labels = batch.to(self.device), labels.to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16):
                logits = screen(batch)
            smooth = labels * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2
            loss = functional.binary_cross_entropy_with_logits(logits.float(), smooth)
            if not torch.isfinite(loss):
                raise RuntimeError(f"step {step}: the loss is {loss.item()}; lower --set lr")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(tuned.values(), 1.0)
            optimizer.step()
            losses.append(loss.item())
            decay = min(recipe.ema, (step + 1) / (step + 10))
            with torch.no_grad():
                for name, parameter in tuned.items():
                    average[name].lerp_(parameter, 1 - decay)
            self.report("tuning", step + 1, recipe.steps, f"loss {np.mean(losses[-50:]):.3f}")
            stopping = until is not None and time.monotonic() > until
            if (step + 1) % recipe.validate_every == 0 or step + 1 == recipe.steps or stopping:
                self._save(last, screen, tuned, average, optimizer, names, step + 1)
                self._check(screen, tuned, average, step + 1, float(np.mean(losses[-recipe.validate_every :])))
            if stopping:
                break
        return self.card

    def _save(
        self,
        path: Path,
        screen: Screen,
        tuned: dict[str, torch.nn.Parameter],
        average: dict[str, torch.Tensor],
        optimizer: torch.optim.Optimizer,
        names: list[str],
        step: int,
    ) -> None:
        checkpoints.write_tensors(
            path,
            {
                **tuned,
                **{f"ema.{name}": tensor for name, tensor in average.items()},
                **checkpoints.adam_state(optimizer, names),
                "readout.mean": screen.readout.mean,
                "readout.std": screen.readout.std,
                "step": torch.tensor(step),
            },
        )

    @torch.no_grad()
    def _check(
        self,
        screen: Screen,
        tuned: dict[str, torch.nn.Parameter],
        average: dict[str, torch.Tensor],
        step: int,
        loss: float | None = None,
    ) -> None:
        """Measure the averaged parameters on validation, note it, and keep them where they are the best so far."""
        current = {name: parameter.detach().clone() for name, parameter in tuned.items()}
        for name, parameter in tuned.items():
            parameter.copy_(average[name])
        screen.eval()
        limit = len(self.train) if step == self.recipe.steps else self.recipe.validate_crops
        entry: dict[str, Any] = {"step": step, "loss": loss}
        aucs = []
        for name, crops in self.validation.items():
            if len({crop.label for crop in crops}) < 2:
                continue
            order = np.random.default_rng(0).permutation(len(crops))[:limit]
            some = [crops[i] for i in order]
            auc = roc_auc(np.array([crop.label for crop in some]), self.score(screen, some))
            entry[name] = round(auc, 4)
            aucs.append(auc)
        entry["selection"] = round(float(np.mean(aucs)), 4)
        self.report("validation", step, self.recipe.steps, f"AUC {entry}")
        history = self.card["history"]
        best = max((e["selection"] for e in history if e["step"] != step), default=-1.0)
        history[:] = [e for e in history if e["step"] < step] + [entry]
        if entry["selection"] > best:
            checkpoints.write_tensors(self.folder / "best.safetensors", screen.tuned())
            self.card["best"] = entry
        checkpoints.write_json(self.folder / "run.json", self.card)
        for name, parameter in tuned.items():
            parameter.copy_(current[name])
        screen.train()

    def score(self, screen: Screen, crops: Sequence[Crop], batch: int = 32) -> np.ndarray:
        """Logits float64[n]; the screen must be in evaluation mode."""
        parts = []
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16):
            for i in range(0, len(crops), batch):
                parts.append(screen(images(crops[i : i + batch]).to(self.device)).float().cpu())
        return torch.cat(parts).double().numpy()


def _factor(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then a cosine to a hundredth."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return 0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * progress)))
