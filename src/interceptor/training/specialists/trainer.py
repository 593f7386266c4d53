"""Training a standard specialist: its lens module and token-fusion head, on stored lenses and base tokens."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from interceptor import __version__
from interceptor.datasets.splits import Split, group_of
from interceptor.metrics.calibration import Platt, fit_platt
from interceptor.metrics.classification import roc_auc
from interceptor.models.foundation import TAPS, WIDTH
from interceptor.models.modules import module_spec
from interceptor.models.standard import QUIET, StandardHead
from interceptor.training import checkpoints
from interceptor.training.optimizer import adamw
from interceptor.training.screen import Report
from interceptor.training.specialists.data import tasks_of
from interceptor.training.specialists.readout import Faces, fit_readout, read_faces

TOKEN_WIDTH = WIDTH * len(TAPS)
BATCH = 64


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run beside its data. Every key can be set from the command line."""

    steps: int = 400
    """of the network on statistics of the lens and tokens, without its module, whose convolutions cost twenty times
    the rest"""
    pairs: int = 32
    """authentic and forged pairs in a batch"""
    module_steps: int = 0
    """after those, with the module; none, since it has added nothing (docs/specialists.md)"""
    module_pairs: int = 12
    lr: float = 2e-3
    """largest learning rate of either part (AdamW; Smith and Topin's one cycle, 2018)"""
    weight_decay: float = 0.1
    quiet: float = QUIET
    """share of a standardised token that the network is given: the more pairs with tokens of their own, the more it
    can make of them without learning faces by heart; a run that goes on from another keeps that one's"""
    label_smoothing: float = 0.05
    ema: float = 0.97
    """decay of the averaged weights, which are the ones measured and kept"""
    validate_every: int = 50
    seed: int = 1


@dataclass(frozen=True)
class Pairs:
    """Pairs of one task through one lens, the authentic one first."""

    tokens: Tensor
    """float16[m, 49, 3072], of distinct crops"""
    rows: Tensor
    """int64[k, 2] into `tokens`"""
    seen: Tensor
    """float16[k, 2, 3, 112, 112]"""
    media: tuple[str, ...]
    """k names: the medium of each pair"""

    def batch(self, chosen: np.ndarray) -> tuple[Tensor, Tensor]:
        """Tokens float32[2 n, 49, 3072] and lenses float32[2 n, 3, 112, 112] of n pairs, side by side."""
        return self.tokens[self.rows[chosen].flatten()].float(), self.seen[chosen].flatten(0, 1).float()

    @property
    def for_lens(self) -> np.ndarray:
        """bool[k]: made for the lens alone, with equal tokens."""
        return (self.rows[:, 0] == self.rows[:, 1]).numpy()

    def own(self) -> Pairs:
        """Those with tokens of their own."""
        kept = np.flatnonzero(~self.for_lens)
        return Pairs(self.tokens, self.rows[kept], self.seen[kept], tuple(self.media[i] for i in kept))

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """`batch` of all pairs, `BATCH` at a time."""
        for i in range(0, len(self.rows), BATCH):
            yield self.batch(np.arange(i, min(i + BATCH, len(self.rows))))

    def faces(self, head: StandardHead) -> Faces:
        """What the read-out of `head` is given of the pairs, authentic and forged in turn."""
        vectors = torch.cat([head.view(tokens.mean(1), seen) for tokens, seen in self.batches()]).numpy()
        return Faces(vectors, np.array([group_of(Path(name)) for name in self.media]).repeat(2))

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Numbers of `count` pairs: half with tokens of their own, half for the lens alone, where there are both."""
        groups = [np.flatnonzero(group) for group in (~self.for_lens, self.for_lens) if group.any()]
        return np.concatenate([rng.choice(part, count // len(groups)) for part in groups])


def read_pairs(data: Path, split: Split, task: str, lens: str) -> Pairs:
    """What `prepare specialists` stored. Raises `CheckpointError` where that is nothing."""
    tokens, rows, seen = [torch.empty(0, 49, TOKEN_WIDTH).half()], [torch.empty(0, 2).long()], []
    media: list[str] = []
    count = 0
    for file in sorted((data / split).glob("*.safetensors")):
        with safe_open(file, "pt") as stored:
            if f"{task}.{lens}.rows" not in stored.keys():  # noqa: SIM118 (no mapping)
                continue
            own, places = stored.get_tensor(f"{task}.{lens}.rows").long().unique(return_inverse=True)
            tokens.append(stored.get_tensor("tokens")[own])
            rows.append(places + count)
            seen.append(stored.get_tensor(f"{task}.{lens}.seen"))
        count += len(own)
        media += [file.stem] * len(places)
    if not seen:
        raise checkpoints.CheckpointError(f"{data / split}: no pairs of {task!r} seen by {lens!r}; prepare them first")
    return Pairs(torch.cat(tokens), torch.cat(rows), torch.cat(seen), tuple(media))


def new_head(code: str) -> StandardHead:
    """The head of a standard specialist, untrained."""
    return StandardHead(module_spec(code), TOKEN_WIDTH)


def train_specialist(
    code: str, data: Path, out: Path, recipe: Recipe, report: Report, command: str, start: Path | None = None
) -> dict[str, Any]:
    """Train the head of `code` on what `prepare specialists` stored in `data`: the pairs of its own forge, and of its
    further tasks (`data.tasks_of`) what is there. A run takes minutes.

    It starts anew, with a read-out (of the tokens where pairs have tokens of their own), or with the best head of the
    run `start`, whose data must have had the same split.

    Writes `best.safetensors`, the averaged weights of the step with the best mean AUC over the validation tasks (at
    step 0 it is the read-out alone), and `run.json`, the card, which is returned. Raises `ValueError` for an unknown
    code and `CheckpointError` where there are no pairs.
    """
    own, *more = tasks_of(code)
    train = {own: read_pairs(data, "train", own, code)}
    train |= {task: pairs for task in more if (pairs := _found(data, "train", task, code))}
    validation = {task: pairs for task in (own, *more) if (pairs := _found(data, "val", task, code))}
    if not validation:
        raise checkpoints.CheckpointError(f"{data / 'val'}: no pairs for {code!r}; prepare more media")
    torch.manual_seed(recipe.seed)
    history: list[dict[str, Any]] = []
    losses: list[float] = []
    readout = None
    if start is None:
        head, before = new_head(code), None
        standardise(head, train[own], recipe.quiet)
        readout = read_out(head, list(train.values()), data)
    else:
        head, before = read_run(code, start)
        recipe = dataclasses.replace(recipe, quiet=round(head.quiet.item(), 6))

    total = recipe.steps + recipe.module_steps

    def validate(step: int, measured: StandardHead) -> None:
        found = {task: round(roc_auc(*scores(measured, pairs)), 4) for task, pairs in validation.items()}
        entry: dict[str, Any] = {"step": step, **found, "selection": round(float(np.mean(list(found.values()))), 4)}
        if losses:
            entry["loss"] = round(float(np.mean(losses[-recipe.validate_every :])), 4)
        report("validation", step, total, str(entry))
        if entry["selection"] > max((old["selection"] for old in history), default=-1):
            checkpoints.write_tensors(out / "best.safetensors", measured.state_dict())
        history.append(entry)

    validate(0, head)
    for step, (loss, measured) in enumerate(fit(head, list(train.values()), recipe), 1):
        losses.append(loss)
        report("training", step, total, f"loss {np.mean(losses[-20:]):.3f}")
        if step % recipe.validate_every == 0 or step in (recipe.steps, total):
            validate(step, measured)
    card = {
        "model": f"specialist_{code}",
        "interceptor": __version__,
        "torch": torch.__version__,
        "command": command,
        "recipe": dataclasses.asdict(recipe),
        "start": before and {key: before[key] for key in ("command", "recipe", "readout", "pairs", "best")},
        "readout": readout,
        "data": json.loads((data / "data.json").read_text()),
        "pairs": {
            "train": {task: len(pairs.rows) for task, pairs in train.items()},
            "val": {task: len(pairs.rows) for task, pairs in validation.items()},
        },
        "history": history,
        "best": max(history, key=lambda old: old["selection"]),
    }
    checkpoints.write_json(out / "run.json", card)
    return card


def read_out(head: StandardHead, train: list[Pairs], data: Path) -> dict[str, float] | None:
    """Fit the read-out of a new head: of its own task's tokens, or of all tasks' lags, whose content is that of the
    authentic ones. None, and the read-out stays 0, where it has nothing to read.
    """
    if head.reads_lags:
        parts = [pairs.faces(head) for pairs in train]
        both = Faces(np.concatenate([part.vectors for part in parts]), np.concatenate([part.groups for part in parts]))
        return fit_readout(head, both, Faces(both.vectors[::2], both.groups[::2]))
    own = train[0].own()
    return fit_readout(head, own.faces(head), read_faces(data)) if len(own.rows) else None


def fit(head: StandardHead, train: list[Pairs], recipe: Recipe) -> Iterator[tuple[float, StandardHead]]:
    """Train a head's network on these tasks in turn, first without its module, then with it. After each step its loss
    and the averaged head, which goes on changing. Raises `RuntimeError` where the loss is no number.
    """
    head = head.to(memory_format=torch.channels_last)  # twice as fast as the default on a CPU
    average = None
    for part in (False, True):
        steps, pairs = (recipe.module_steps, recipe.module_pairs) if part else (recipe.steps, recipe.pairs)
        if not steps:
            continue
        if average is not None:
            head.load_state_dict(average.module.state_dict())
        if part and not head.has_module:
            head.standardise_module(some_looks(train[0]))
        average = AveragedModel(head, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)
        for loss in _steps(head, train, recipe, steps, pairs, module=part):
            average.update_parameters(head)
            yield loss, average.module


def _steps(
    head: StandardHead, train: list[Pairs], recipe: Recipe, steps: int, count: int, *, module: bool
) -> Iterator[float]:
    rng = np.random.default_rng([recipe.seed, module])
    optimizer, _ = adamw(head, recipe.lr, recipe.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=steps)
    for step in range(1, steps + 1):
        pairs = train[step % len(train)]
        tokens, seen = pairs.batch(pairs.draw(rng, count))
        head.train()
        with torch.autocast("cpu", torch.bfloat16):
            seen = seen.contiguous(memory_format=torch.channels_last)
            logits = head.network(tokens, tokens.mean(1), seen, module=module)
        labels = torch.tensor([0, 1]).repeat(len(logits) // 2)
        loss = functional.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
        if not torch.isfinite(loss):
            raise RuntimeError(f"step {step}: the loss is {loss.item()}; lower --set lr")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        yield loss.item()


def _found(data: Path, split: Split, task: str, code: str) -> Pairs | None:
    try:
        return read_pairs(data, split, task, code)
    except checkpoints.CheckpointError:
        return None


def standardise(head: StandardHead, pairs: Pairs, quiet: float, sample: int = 256) -> None:
    """Set by some of the training pairs what a head standardises by."""
    head.standardise(pairs.tokens[:: max(1, len(pairs.tokens) // sample)], some_looks(pairs, sample), quiet)


def some_looks(pairs: Pairs, count: int = 16) -> Tensor:
    """float32[2 n, 3, h, w]: the lenses of about `count` pairs."""
    return pairs.seen[:: max(1, len(pairs.seen) // count)].flatten(0, 1).float()


@torch.no_grad()
def scores(head: StandardHead, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Labels and logits float64[2 k] of both members of all pairs, in evaluation mode; above 0 leans forged."""
    head.eval()
    network, module = head.has_network, head.has_module
    parts = []
    for tokens, seen in pairs.batches():
        logits = head(tokens, tokens.mean(1), seen, network=network, module=module)
        parts.append((logits[:, 1] - logits[:, 0]).double().numpy())
    return np.tile([0, 1], len(pairs.rows)), np.concatenate(parts)


def calibrate(code: str, head: StandardHead, data: Path) -> Platt:
    """Platt scaling on the validation pairs of its tasks, each task weighing the same."""
    labels, logits, weights = [], [], []
    for task in tasks_of(code):
        if pairs := _found(data, "val", task, code):
            truth, values = scores(head, pairs)
            labels.append(truth)
            logits.append(values)
            weights.append(np.full(len(truth), 1 / len(truth)))
    return fit_platt(np.concatenate(logits), np.concatenate(labels), np.concatenate(weights))


def read_run(code: str, run: Path) -> tuple[StandardHead, dict[str, Any]]:
    """The best head of a run, in evaluation mode, and the run's card. Raises `CheckpointError`."""
    head = new_head(code)
    try:
        head.load_state_dict(checkpoints.read_tensors(run / "best.safetensors"))
    except RuntimeError as error:
        raise checkpoints.CheckpointError(f"{run}: holds another network than {code!r}: {error}") from error
    return head.eval(), json.loads((run / "run.json").read_text())
