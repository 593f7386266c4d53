"""The training loop: chunks, in them epochs, in them steps; validation and a checkpoint after each epoch.

All that decides a step (its samples, their augmentation, its dropout, its learning rate) follows from the recipe and
the step's number. So a run that goes on from a checkpoint is the run that was never stopped.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from interceptor.datasets.shards import Shards
from interceptor.training import checkpoints
from interceptor.training.optimizer import adamw
from interceptor.training.screen import Report
from interceptor.training.stages import snapshots
from interceptor.training.stages.balance import batches, epoch_draws
from interceptor.training.stages.data import Batch, Chunk, Plan, Samples, on
from interceptor.training.stages.losses import class_weights, loss
from interceptor.training.stages.recipe import Recipe
from interceptor.training.stages.scoring import Encode, score_rows
from interceptor.training.stages.starts import Trained
from interceptor.training.stages.validation import Scores, details, gathered, keep_worst, measure


@dataclass
class Place:
    """How far a run has come."""

    chunk: int = 0
    """index into the plan's chunks"""
    epoch: int = 0
    step: int = 0
    """steps done in this epoch"""
    done: int = 0
    """steps done in all"""
    loss_sum: float = 0.0
    replaced: int = 0
    """of this epoch's steps so far"""


class Loop:
    """One stage's training; `folder` keeps its checkpoints, `facts` what is written into each of them."""

    def __init__(
        self,
        fabric: Fabric,
        trained: Trained,
        encode: Encode,
        shards: Shards,
        code: str,
        plan: Plan,
        recipe: Recipe,
        folder: Path,
        facts: dict[str, Any],
        report: Report,
        remark: Callable[[str], None],
        after_epoch: Callable[[dict[str, Any]], None],
    ) -> None:
        self.fabric, self.encode, self.shards, self.code = fabric, encode, shards, code
        self.plan, self.recipe, self.folder, self.facts = plan, recipe, folder, facts
        self.report, self.after_epoch = report, after_epoch
        if fabric.world_size > 1 and fabric.device.type == "cuda":
            trained = torch.nn.SyncBatchNorm.convert_sync_batchnorm(trained)
        if recipe.channels_last:
            trained = trained.to(memory_format=torch.channels_last)
        self.adam, self.names = adamw(trained, recipe.lr, recipe.weight_decay)
        self.trained = trained.to(fabric.device)
        self.net, self.optimizer = fabric.setup(
            torch.compile(trained) if recipe.compile else trained, self.adam, move_to_device=False
        )
        self.average = (
            AveragedModel(self.trained, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)
            if recipe.ema
            else None
        )
        self.weights = class_weights(recipe, plan.counts(shards)).to(fabric.device)
        self.keeper = snapshots.Snapshots(folder / "checkpoints", recipe.compress, remark)
        self.place = Place()
        self.history: list[dict[str, Any]] = []

    def restore(self) -> None:
        """Take up the newest whole checkpoint, if there is one. Raises `CheckpointError`."""
        found = self.keeper.last()
        if found is None:
            return
        weights, state, facts = found
        self.trained.load_state_dict(weights)
        checkpoints.restore_adam(self.adam, self.names, state)
        if self.average is not None:
            own = {name: state[f"ema.{name}"] for name in self.average.state_dict()}
            self.average.load_state_dict(own)
        if facts["scaler"]:
            self.fabric.strategy.precision.load_state_dict(facts["scaler"])
        self.place, self.history = Place(**facts["place"]), facts["history"]

    def run(self, until: float | None = None) -> bool:
        """Train to the end, or until `time.monotonic()` passes `until`; whether the end was reached. All is saved."""
        for number in range(self.place.chunk, len(self.plan.chunks)):
            for epoch in range(self.place.epoch, self.recipe.epochs):
                if not self._epoch(self.plan.chunks[number], epoch, until):
                    return False
                last = epoch + 1 == self.recipe.epochs
                self.place = Place(number + last, 0 if last else epoch + 1, 0, self.place.done)
                self._save()
                if self._time_is_up(until) and self.place.chunk < len(self.plan.chunks):
                    return False
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return True

    def steps(self, chunk: Chunk) -> int:
        """Steps in an epoch of `chunk`: whole ones, at least one."""
        samples = self.recipe.epoch_samples or len(chunk.places)
        return max(1, samples // (self.recipe.batch * self.recipe.accumulate * self.fabric.world_size))

    @property
    def total(self) -> int:
        return self.recipe.epochs * sum(self.steps(chunk) for chunk in self.plan.chunks)

    def _epoch(self, chunk: Chunk, epoch: int, until: float | None) -> bool:
        """The rest of an epoch and its validation; False where time was up in its middle."""
        recipe, place, steps = self.recipe, self.place, self.steps(chunk)
        loader = self._loader(chunk, epoch, steps, place.step)
        began, waited = time.monotonic(), 0.0
        stage = f"{chunk.name}, epoch {epoch + 1} of {recipe.epochs}"
        for step in range(place.step, steps):
            self._begin_step()
            for part in range(recipe.accumulate):
                asked = time.monotonic()
                batch = on(self.fabric.device, next(loader), recipe.channels_last)
                waited += time.monotonic() - asked
                with self.fabric.no_backward_sync(self.net, enabled=part + 1 < recipe.accumulate):
                    value = loss(recipe, self.net(self.encode(batch), batch.lens), batch.labels, self.weights)
                    self.fabric.backward(value / recipe.accumulate)
                if not math.isfinite(value.item()):
                    raise FloatingPointError(f"step {place.done + 1}: the loss is {value.item()}; lower --set lr")
                place.loss_sum += value.item() / recipe.accumulate
                place.replaced += int(batch.replaced.sum())
            if recipe.clip:
                self.fabric.clip_gradients(self.net, self.optimizer, max_norm=recipe.clip)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            if self.average is not None:
                self.average.update_parameters(self.trained)
            place.step, place.done = step + 1, place.done + 1
            self.report(stage, step + 1, steps, f"loss {place.loss_sum / place.step:.3f}")
            if place.step < steps:
                stop = self._time_is_up(until)
                if stop or place.done % recipe.save_every == 0:
                    self._save()
                if stop:
                    return False
        seconds = time.monotonic() - began
        speed = {"seconds": round(seconds, 2), "waited_for_data": round(waited / max(seconds, 1e-9), 4)}
        self._validate(chunk, epoch, steps, speed)
        return True

    def _loader(self, chunk: Chunk, epoch: int, steps: int, first: int) -> Iterator[Batch]:
        recipe, world = self.recipe, self.fabric.world_size
        rows = [self.shards.rows[i] for i in chunk.places]
        count = steps * recipe.batch * recipe.accumulate * world
        seed = (recipe.seed, chunk.number + 1, epoch)
        draws = epoch_draws(rows, chunk.places, count, balance=recipe.balance, seed=seed)
        order = batches(draws, recipe.batch, first * recipe.accumulate, self.fabric.global_rank, world)
        samples = Samples(self.shards, self.code, recipe, chunk.places, training=True)
        pinned = self.fabric.device.type == "cuda"
        return iter(DataLoader(samples, batch_size=None, sampler=order, num_workers=recipe.workers, pin_memory=pinned))

    def _begin_step(self) -> None:
        """Learning rate, mode and random state of the next step."""
        recipe, done = self.recipe, self.place.done
        for group in self.adam.param_groups:
            group["lr"] = recipe.lr * 0.5 * (1 + math.cos(math.pi * done / self.total))
        state = np.random.SeedSequence((recipe.seed, self.fabric.global_rank, done)).generate_state(1, np.uint64)
        torch.manual_seed(int(state[0]) >> 1)
        self.trained.train()
        if recipe.norm_statistics == "frozen":
            for module in self.trained.modules():
                if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def _validate(self, chunk: Chunk, epoch: int, steps: int, speed: dict[str, float]) -> None:
        model = self.trained if self.average is None else self.average.module
        scores = self.score(model)
        entry: dict[str, Any] = {
            "chunk": chunk.name,
            "epoch": epoch + 1,
            "step": self.place.done,
            "train_loss": self._mean(self.place.loss_sum / steps),
            "replaced": self.place.replaced,
            **measure(scores, len(self.plan.validation)),
            **speed,
        }
        best = max(((old["auc"], -old["loss"]) for old in self.history), default=(-1.0, 0.0))
        self.history.append(entry)
        if self.fabric.is_global_zero:
            if (entry["auc"], -entry["loss"]) > best:
                worst = keep_worst(scores, self.shards, self.folder / "worst")
                found = {**self.facts, "measured": entry, **details(scores), "worst": worst}
                file = self.folder / "best.safetensors"
                snapshots.write_weights(file, model.state_dict(), found, self.recipe.compress)
            note = ", ".join(f"{key} {entry[key]:.3f}" for key in _SAID)
            self.report("validation", self.place.done, self.total, f"{chunk.name}, epoch {epoch + 1}: {note}")
            self.after_epoch(entry)
        self.fabric.barrier()

    def score(self, model: Trained) -> Scores:
        """Logits of `model` on the validation rows."""
        own = self.plan.validation[self.fabric.global_rank :: self.fabric.world_size]
        scores = score_rows(
            model, self.encode, self.shards, self.code, self.recipe, own, self.fabric.device, self.fabric.autocast
        )
        if self.fabric.world_size == 1:
            return scores
        everyone: list[Any] = [None] * self.fabric.world_size
        torch.distributed.all_gather_object(everyone, scores)
        return gathered(everyone)

    def _time_is_up(self, until: float | None) -> bool:
        """As the first process has it: all must stop at the same step."""
        return until is not None and bool(self.fabric.broadcast(time.monotonic() > until))

    def _mean(self, value: float) -> float:
        return float(self.fabric.all_reduce(torch.tensor(value, dtype=torch.float64)))

    def _save(self) -> None:
        self.place.loss_sum = self._mean(self.place.loss_sum)
        if self.fabric.is_global_zero:
            state = checkpoints.adam_state(self.adam, self.names)
            if self.average is not None:
                state |= {f"ema.{name}": tensor for name, tensor in self.average.state_dict().items()}
            facts = {
                **self.facts,
                "place": asdict(self.place),
                "history": self.history,
                "scaler": self.fabric.strategy.precision.state_dict(),
            }
            self.keeper.save(self.place.done, self.trained.state_dict(), state, facts)
        self.fabric.barrier()


_SAID = ("train_loss", "loss", "auc", "accuracy_authentic", "accuracy_forged")
