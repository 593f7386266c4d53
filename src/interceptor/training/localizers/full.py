"""Training of the full localizers: one network a member, on pictures, the best by validation Dice kept."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from interceptor.media.inputs import network_input
from interceptor.models.localizer import GateAt
from interceptor.models.localizer_full import FullLocalizer
from interceptor.training.checkpoints import CheckpointError, adam_state, read_tensors, restore_adam, write_json
from interceptor.training.localizers.augment import as_target, augmented
from interceptor.training.localizers.checkpoints import Architecture, Checkpoint, read_checkpoint, write_checkpoint
from interceptor.training.localizers.data import IGNORED, Source, plan
from interceptor.training.localizers.draws import draw_weights
from interceptor.training.localizers.loss import localisation_loss
from interceptor.training.localizers.mining import FIRES, mine, truths, write_list
from interceptor.training.localizers.pictures import Pictures, cache_pictures
from interceptor.training.localizers.recipes import BASE, MEMBERS, Member, Tier, member
from interceptor.training.localizers.run import begin, listed

Report = Callable[[str, int, int, str], None]
"""(stage, done, in all, note)"""
HUB, NONE = "hub", "none"


@dataclass(frozen=True)
class FullRecipe:
    """What all members of a run share."""

    members: str = ",".join(MEMBERS)
    """In the order of their training, a comma between two."""
    encoder: str = "efficientnet_b2"
    gate: GateAt = "features"
    side: int = 512
    authentic: int = 400
    """Training samples of each kind that are left as they are, and"""
    forged: int = 800
    """that are forged."""
    edited: int = 1
    """Training samples of each picture that was forged by others."""
    val_authentic: int = 20
    val_forged: int = 40
    epochs: int = 0
    """Instead of the member's; 0: the member's."""
    steps: int = 0
    """Of an epoch; 0: as many as there are batches of samples."""
    batch: int = 4
    authentic_share: float = 0.4
    """Of what is drawn."""
    edited_times: float = 1.0
    """How much a kind forged by others weighs against one forged by program."""
    weight_decay: float = 0.01
    workers: int = 0
    """Processes that prepare batches; 0: none beside the training itself."""
    seed: int = 1


class Validation(NamedTuple):
    dice: float
    """Mean over forged pictures, at the network's size."""
    false_alarms: float
    """Share of the authentic pictures with more than `FIRES` of their pixels called."""


class FullRun:
    """A run in its folder: `pictures/`, and of each member `NAME.safetensors` (the best), `NAME.last.safetensors` (what
    an interrupted run goes on from) and `NAME.run.json`. A finished member is left as it is.

    `start`: a file of the encoder's ImageNet weights under timm's names, `hub` to fetch them, or `none`.
    """

    def __init__(self, start: str, sources: Sequence[Source], out: Path, recipe: FullRecipe, report: Report) -> None:
        self.start, self.sources, self.out, self.recipe, self.report = start, sources, out, recipe, report
        self.command = ""
        self.names = recipe.members.split(",")
        for name in self.names:
            member(name)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def run(self) -> dict[str, Any]:
        """Train what is asked for; returns each member's `run.json`."""
        begin(self.out, Tier.full, dataclasses.asdict(self.recipe), self.sources)
        train, val = self.train_pictures(), self.val_pictures()
        return {name: self._train(name, train, val) for name in self.names}

    def mine(self, what: str, file: Path | None = None) -> int:
        """Write the list `what` (see `mining`) of the base member's mistakes; returns their number."""
        train = self.train_pictures()
        rows = mine(what, train.samples, self._found(train))
        write_list(file or self.out / f"{what}.csv", rows)
        return len(rows)

    def train_pictures(self) -> Pictures:
        return self._pictures("train", self.recipe.authentic, self.recipe.forged, self.recipe.edited)

    def val_pictures(self) -> Pictures:
        return self._pictures("val", self.recipe.val_authentic, self.recipe.val_forged, 1)

    def card(self, name: str) -> dict[str, Any]:
        """What was noted of a trained member."""
        found: dict[str, Any] = json.loads((self.out / f"{name}.run.json").read_text(encoding="utf-8"))
        return found

    def best(self, name: str) -> Path:
        return self.out / f"{name}.safetensors"

    def _pictures(self, split: str, authentic: int, forged: int, edited: int) -> Pictures:
        samples = plan(self.sources, split, authentic, forged, edited, self.recipe.seed)
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            self.report(f"pictures of {split}", done, len(samples), "")

        return cache_pictures(samples, self.out / "pictures" / split, advance)

    def _train(self, name: str, train: Pictures, val: Pictures) -> dict[str, Any]:
        recipe, row = self.recipe, MEMBERS[name]
        epochs = recipe.epochs or row.full.length
        architecture = Architecture(name, recipe.encoder, 4 if row.error_levels else 3, recipe.gate, recipe.side)
        last = self.best(f"{name}.last")
        weights = draw_weights(
            row,
            train.samples,
            train.areas,
            lambda what: listed(self.out, what, train.samples, lambda: self._found(train)),
            authentic_share=recipe.authentic_share,
            edited_times=recipe.edited_times,
        )
        begun, best = 0, -1.0
        if last.is_file():
            before = read_checkpoint(last)
            model, begun, best = before.model(), before.epoch, before.best_dice
        else:
            torch.manual_seed(recipe.seed)
            model = self._begun(architecture, row.full.start)
        model.to(self.device)
        names = [name for name, _ in model.named_parameters()]
        optimizer = torch.optim.AdamW(model.parameters(), row.full.lr, weight_decay=recipe.weight_decay)
        if begun:
            restore_adam(optimizer, names, dict(before.optimizer_state_dict))
        steps = recipe.steps or math.ceil(len(train.samples) / recipe.batch)
        for epoch in range(begun, epochs):
            drawn = _Drawn(train, weights, row, recipe, steps * recipe.batch, epoch)
            torch.manual_seed(recipe.seed + epoch)  # of dropout
            for step, batch in enumerate(DataLoader(drawn, recipe.batch, num_workers=recipe.workers)):
                set_rate(optimizer, row.full.lr, (epoch * steps + step) / (epochs * steps))
                value = train_step(model, optimizer, batch, row, self.device)
                self.report(f"{name}, epoch {epoch + 1}", step + 1, steps, f"loss {value:.4f}")
            found = self._validate(model, val, row)
            said = f"{name}: Dice {found.dice:.3f}, fires on {found.false_alarms:.2f} of the authentic"
            self.report("validation", epoch + 1, epochs, said)
            better, best = found.dice > best, max(best, found.dice)
            reached = Checkpoint(architecture, model.state_dict(), adam_state(optimizer, names), epoch + 1, best)
            write_checkpoint(last, reached)
            if better:
                write_checkpoint(self.best(name), reached)
                self._describe(name, architecture, train, found)
        return self.card(name)

    def _describe(self, name: str, architecture: Architecture, train: Pictures, found: Validation) -> None:
        row = dataclasses.asdict(MEMBERS[name])
        described = {"command": self.command, "recipe": dataclasses.asdict(self.recipe) | {"member": row}}
        card = {"architecture": dataclasses.asdict(architecture), "samples": len(train.samples)}
        write_json(self.out / f"{name}.run.json", described | card | {"validation": found._asdict()})

    def _begun(self, architecture: Architecture, start: str) -> FullLocalizer:
        """A network to train: with the weights of the member `start`, else with the encoder's own."""
        if start:
            if not self.best(start).is_file():
                raise CheckpointError(f"{self.best(start)}: no such file; train the member {start} first")
            return read_checkpoint(self.best(start)).model()
        model = architecture.build(pretrained=self.start == HUB)
        if self.start not in (HUB, NONE):
            model.start_from(read_tensors(Path(self.start)))
        return model

    def _found(self, train: Pictures) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """What the base member finds in the training samples."""
        model = self._begun(Architecture(BASE), BASE).to(self.device)
        return painted(model, train, MEMBERS[BASE], self.recipe, self.device)

    def _validate(self, model: FullLocalizer, val: Pictures, row: Member) -> Validation:
        dice, fired = [], []
        for sample, (logits, target) in zip(
            val.samples, painted(model, val, row, self.recipe, self.device), strict=True
        ):
            called, truth = (logits >= 0) & (target != IGNORED), truths(target)
            if not sample.forged:
                fired.append(called.mean() > FIRES)
            elif truth.any():
                dice.append(2 * (called & truth).sum() / (called.sum() + truth.sum()))
        if not dice:
            raise ValueError("no forged picture is in the validation part; there is nothing to choose by")
        return Validation(float(np.mean(dice)), float(np.mean(fired)) if fired else math.nan)


def painted(
    model: FullLocalizer, pictures: Pictures, row: Member, recipe: FullRecipe, device: torch.device
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each sample, not augmented, the logits float32[side, side] and the target uint8[side, side]."""
    model.eval()
    for first in range(0, len(pictures.samples), recipe.batch):
        read = [pictures.read(i) for i in range(first, min(first + recipe.batch, len(pictures.samples)))]
        inputs = np.stack([network_input(rgb, recipe.side, error_levels=row.error_levels) for rgb, _ in read])
        with torch.inference_mode():
            logits = model(torch.from_numpy(inputs).to(device)).float().cpu().numpy()
        yield from zip(logits, (as_target(mask, recipe.side) for _, mask in read), strict=True)


def train_step(
    model: FullLocalizer, optimizer: torch.optim.Optimizer, batch: Sequence[Tensor], row: Member, device: torch.device
) -> float:
    """One step in mixed precision where there is a GPU; the loss."""
    pictures, targets = (part.to(device, non_blocking=True) for part in batch)
    model.train()
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        logits = model(pictures)
    value = localisation_loss(logits.float(), targets, row.loss)
    optimizer.zero_grad()
    value.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return value.item()


def set_rate(optimizer: torch.optim.Optimizer, highest: float, done: float) -> None:
    """Cosine schedule: the learning rate when the share `done` of the training is over."""
    for group in optimizer.param_groups:
        group["lr"] = highest * (1 + math.cos(math.pi * done)) / 2


class _Drawn(Dataset[tuple[Tensor, Tensor]]):
    """One epoch's samples, drawn by weight and augmented. Item i depends on (seed, epoch, i) alone, so that a resumed
    run sees what an unbroken one would have seen.
    """

    def __init__(
        self, pictures: Pictures, weights: np.ndarray, row: Member, recipe: FullRecipe, count: int, epoch: int
    ) -> None:
        self.pictures, self.row, self.recipe, self.epoch = pictures, row, recipe, epoch
        self.chosen = np.random.default_rng([recipe.seed, epoch]).choice(len(weights), count, p=weights)

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self.recipe.seed, self.epoch, i])
        rgb, mask = augmented(*self.pictures.read(int(self.chosen[i])), self.row, rng)
        picture = network_input(rgb, self.recipe.side, error_levels=self.row.error_levels)
        return torch.from_numpy(picture), torch.from_numpy(as_target(mask, self.recipe.side))
