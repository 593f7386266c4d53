"""Training of the standard localizer: members on cached tokens, one after the other, then their calibration."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from interceptor.metrics.calibration import fit_platt, risk_curve
from interceptor.metrics.maps import combined, logit, sigmoid, top_score
from interceptor.models.localizer import GateAt, LocalizerDecoder
from interceptor.runtime.network import Network
from interceptor.training.checkpoints import CheckpointError, read_tensors, write_bytes, write_json, write_tensors
from interceptor.training.export import BASE_NAME
from interceptor.training.localizers.data import IGNORED, Sample, Source, as_stored, make, plan
from interceptor.training.localizers.draws import draw_weights
from interceptor.training.localizers.export import write_localizer
from interceptor.training.localizers.loss import localisation_loss
from interceptor.training.localizers.mining import mine, truths, write_list
from interceptor.training.localizers.recipes import BASE, MEMBERS, STANDARD, Loss, Schedule, Tier, member
from interceptor.training.localizers.run import begin, listed
from interceptor.training.localizers.tokens import Tokens, cache_tokens

Report = Callable[[str, int, int, str], None]
"""(stage, done, in all, note)"""
STANDARDISED = 64
"""Samples from which the tokens' mean and spread are taken."""
THRESHOLDS = sigmoid(np.linspace(-5, 3, 65))


@dataclass(frozen=True)
class Recipe:
    """What is trained on how much."""

    members: str = ",".join(STANDARD)
    """In the order of their training, a comma between two."""
    authentic: int = 40
    """Training samples of each kind that are left as they are, and"""
    forged: int = 80
    """that are forged."""
    edited: int = 2
    """Training samples of each picture edited by hand."""
    val_authentic: int = 10
    val_forged: int = 8
    test_authentic: int = 24
    test_forged: int = 40
    batch: int = 16
    authentic_share: float = 0.4
    """Of every batch."""
    edited_times: float = 1.0
    """How much a kind edited by hand weighs against one forged by program."""
    weight_decay: float = 0.02
    gate: GateAt = "features"
    draws: int = 1
    """0: nothing is drawn more often than the rest, for comparison."""
    seed: int = 1


class LocalizerRun:
    """A run in its folder: `tokens/`, `NAME.safetensors` of each member, `run.json`, and `test/`, the pictures that
    were kept out. What is finished there is not done again.
    """

    def __init__(self, base: Path, sources: Sequence[Source], out: Path, recipe: Recipe, report: Report) -> None:
        self.base, self.sources, self.out, self.recipe, self.report = base, sources, out, recipe, report
        self.command = ""
        self.names = recipe.members.split(",")
        for name in self.names:
            member(name).schedule(Tier.standard)

    def run(self) -> dict[str, Any]:
        """Everything; returns what `run.json` holds."""
        recipe = self.recipe
        settings = dataclasses.asdict(recipe)
        begin(self.out, Tier.standard, settings, self.sources)
        write_test(self._plan("test", recipe.test_authentic, recipe.test_forged, 1), self.out / "test")
        train, val = self.train_tokens(), self.val_tokens()
        for name in self.names:
            self._train(name, train, val)
        finished = [name for name in STANDARD if self._file(name).is_file()]
        recipes = {name: dataclasses.asdict(MEMBERS[name]) for name in finished}
        card = {
            "command": self.command,
            "recipe": settings | {"recipes": recipes, "sources": len(self.sources)},
            "data": self._data(train, val),
            **calibrate(val.samples, val.targets, {name: paint(self._load(name), val) for name in finished}),
        }
        write_json(self.out / "run.json", card)
        return card

    def mine(self, what: str, file: Path | None = None) -> int:
        """Write the list `what` (see `mining`) of the base member's mistakes; returns their number."""
        train = self.train_tokens()
        rows = mine(what, train.samples, self._found(train))
        write_list(file or self.out / f"{what}.csv", rows)
        return len(rows)

    def train_tokens(self) -> Tokens:
        return self._tokens("train", self.recipe.authentic, self.recipe.forged, self.recipe.edited)

    def val_tokens(self) -> Tokens:
        return self._tokens("val", self.recipe.val_authentic, self.recipe.val_forged, 1)

    def _file(self, name: str) -> Path:
        return self.out / f"{name}.safetensors"

    def _load(self, name: str) -> LocalizerDecoder:
        """A trained member. Raises `CheckpointError` where it is not."""
        if not self._file(name).is_file():
            raise CheckpointError(f"{self._file(name)}: no such file; train the member {name} first")
        return load_members(self.out, [name], self.recipe.gate)[name]

    def _found(self, train: Tokens) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """What the base member finds in the training samples."""
        return zip(paint(self._load(BASE), train), train.targets, strict=True)

    def _plan(self, split: str, authentic: int, forged: int, edited: int) -> list[Sample]:
        return plan(self.sources, split, authentic, forged, edited, self.recipe.seed)

    def _tokens(self, split: str, authentic: int, forged: int, edited: int) -> Tokens:
        samples = self._plan(split, authentic, forged, edited)
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            self.report(f"tokens of {split}", done, len(samples), "")

        return cache_tokens(samples, self._network, self.out / "tokens" / split, advance)

    def _network(self) -> Network:
        """The foundation on the inference runtime, as it will run beside the members."""
        base, file = self.out / "tokens" / BASE_NAME, self.out / "tokens" / "tokens.onnx"
        if not base.is_file():
            write_bytes(base, self.base.read_bytes())
        if not file.is_file():
            write_localizer(base, {}, file)
        return Network(file, outputs=("tokens",), threads=1)

    def _train(self, name: str, train: Tokens, val: Tokens) -> None:
        """One member into its file; one that is there is left as it is."""
        if self._file(name).is_file():
            return
        recipe, schedule = MEMBERS[name], MEMBERS[name].schedule(Tier.standard)
        torch.manual_seed(self.recipe.seed)
        model = LocalizerDecoder(*_standard(train), self.recipe.gate)
        if schedule.start:
            model.load_state_dict(self._load(schedule.start).state_dict())
        weights = draw_weights(
            recipe if self.recipe.draws else dataclasses.replace(recipe, draws=()),
            train.samples,
            truths(train.targets).mean(axis=(1, 2)),
            lambda what: listed(self.out, what, train.samples, lambda: self._found(train)),
            authentic_share=self.recipe.authentic_share,
            edited_times=self.recipe.edited_times,
        )
        fit(model, recipe.loss, schedule, train, weights, self.recipe, partial(self._told, name, schedule.length))
        write_tensors(self._file(name), model.state_dict())
        self.report(
            "validation",
            1,
            1,
            f"{name}: mean F1 {_mean_f1(val.samples, val.targets, sigmoid(paint(model, val)), 0.5):.3f}",
        )

    def _told(self, name: str, total: int, done: int, note: str) -> None:
        self.report(name, done, total, note)

    def _data(self, train: Tokens, val: Tokens) -> dict[str, Any]:
        """How many samples of how many pictures of each kind."""
        found: dict[str, Any] = {}
        for split, tokens in (("train", train), ("val", val)):
            for sample in tokens.samples:
                entry = found.setdefault(sample.source.kind, {}).setdefault(
                    split, {"pictures": set(), "authentic": 0, "forged": 0}
                )
                entry["pictures"].add(sample.source.path.name)
                entry["forged" if sample.forged else "authentic"] += 1
        for splits in found.values():
            for entry in splits.values():
                entry["pictures"] = len(entry["pictures"])
        return found


def fit(
    model: LocalizerDecoder,
    loss: Loss,
    schedule: Schedule,
    data: Tokens,
    weights: np.ndarray,
    recipe: Recipe,
    advance: Callable[[int, str], None],
) -> None:
    """Train in place on samples drawn by `weights`: AdamW, one cycle of the learning rate, bfloat16 products."""
    rng = np.random.default_rng(recipe.seed)
    optimizer = torch.optim.AdamW(model.parameters(), schedule.lr, weight_decay=recipe.weight_decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, schedule.lr, schedule.length, pct_start=0.1)
    model.train()
    smooth = 0.0
    for step in range(1, schedule.length + 1):
        chosen = rng.choice(len(weights), recipe.batch, p=weights)
        tokens, targets = data.batch(chosen)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(tokens).float()
        value = localisation_loss(logits, targets, loss)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        cycle.step()
        smooth += (value.item() - smooth) * max(0.05, 1 / step)
        advance(step, f"loss {smooth:.4f}")
    model.eval()


def paint(model: LocalizerDecoder, data: Tokens, batch: int = 16) -> np.ndarray:
    """A member's logits on all samples: float32[n, 112, 112]."""
    model.eval()
    maps = []
    for first in range(0, len(data.samples), batch):
        tokens, _ = data.batch(np.arange(first, min(first + batch, len(data.samples))))
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            maps.append(model(tokens).float().numpy())
    return np.concatenate(maps)


def calibrate(samples: Sequence[Sample], targets: np.ndarray, maps: dict[str, np.ndarray]) -> dict[str, Any]:
    """On validation samples: where pixels are called, what the picture's score means, and its thresholds by kind.

    `targets` uint8[n, h, w] as in `data`, `maps` the members' logits float[n, h, w].
    """
    stacked = np.stack(list(maps.values()), 1)
    weights = {name: MEMBERS[name].weight for name in maps if MEMBERS[name].weight}
    union = {name: MEMBERS[name].union for name in maps if MEMBERS[name].union}
    whole = combined(stacked, list(maps), weights, union)
    scores = top_score(whole)
    labels = np.array([sample.forged for sample in samples])
    kinds = np.array([sample.source.kind for sample in samples])
    platt = fit_platt(scores, labels)
    # Nothing is called in a picture that is not likely altered, so that such pictures have no say in the threshold.
    probability = np.minimum(sigmoid(whole), (platt.apply(scores) >= 0.5)[:, None, None])
    found = [_mean_f1(samples, targets, probability, threshold) for threshold in THRESHOLDS]
    best = int(np.argmax(found))
    curves = {}
    for side, label in (("forged", False), ("authentic", True)):
        by_kind = {kind: scores[(kinds == kind) & (labels == label)] for kind in np.unique(kinds[labels == label])}
        curves[side] = dataclasses.asdict(risk_curve(by_kind, side=side))  # type: ignore[arg-type]
    return {
        "members": list(maps),
        "weights": weights,
        "union": union,
        "pixel_offset": float(logit(THRESHOLDS[best])),
        "calibration": platt._asdict(),
        "thresholds": curves,
        "validation": {"f1": found[best], "pictures": len(labels), "forged": int(labels.sum())},
    }


def write_test(samples: Sequence[Sample], out: Path) -> None:
    """The pictures kept out, as files to be measured on: `out/KIND/authentic`, `out/KIND/FORGE` and `masks` of those.

    Those edited by hand go to `out/KIND/edited`. A copy-move's mask holds source and copies. A folder that is there is
    left as it is.
    """
    if out.is_dir():
        return
    partial = out.with_name(out.name + ".part")
    partial.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(samples):
        try:
            rgb, mask = make(sample, changed=False) if sample.source.mask is None else as_stored(sample)
        except ValueError:
            continue
        what = sample.forge or ("edited" if sample.forged else "authentic")
        for folder, image in ((what, rgb[..., ::-1]), (f"masks/{what}", mask * 255)):
            if folder != "masks/authentic":
                file = partial / sample.source.kind / folder / f"{number:04d}_{sample.source.path.stem}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(file, cv2.imencode(".png", image)[1].tobytes())
    partial.rename(out)


def _standard(data: Tokens) -> tuple[Tensor, Tensor]:
    """Mean and spread of each channel at each depth, `[5, 768]` each."""
    count = len(data.samples)
    tokens, _ = data.batch(np.arange(0, count, max(1, count // STANDARDISED)))
    return tokens.float().mean((0, 2)), tokens.float().std((0, 2)).clamp_min(1e-3)


def _mean_f1(samples: Sequence[Sample], targets: np.ndarray, probability: np.ndarray, threshold: float) -> float:
    """Over forged samples, on the localizer's grid."""
    values = []
    for i, sample in enumerate(samples):
        if sample.forged:
            judged = targets[i] != IGNORED
            truth, called = truths(targets[i]), (probability[i] >= threshold) & judged
            values.append(2 * (truth & called).sum() / max(truth.sum() + called.sum(), 1))
    return float(np.mean(values))


def load_members(folder: Path, names: Sequence[str], gate: GateAt = "features") -> dict[str, LocalizerDecoder]:
    """The trained members of a run. Raises `CheckpointError`."""
    members = {}
    for name in names:
        members[name] = LocalizerDecoder(gate=gate).eval()
        try:
            members[name].load_state_dict(read_tensors(folder / f"{name}.safetensors"))
        except RuntimeError as error:
            raise CheckpointError(f"{folder / name}.safetensors: not a decoder with its gate at {gate}") from error
    return members


def read_run(folder: Path) -> dict[str, Any]:
    """`run.json` of a finished run. Raises `FileNotFoundError`."""
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))
