"""Training of the standard localizer: members on cached tokens, one after the other, then their calibration."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from interceptor.metrics.calibration import fit_platt, risk_curve
from interceptor.metrics.maps import combined, logit, sigmoid, top_score
from interceptor.models.localizer import LocalizerDecoder
from interceptor.runtime.network import Network
from interceptor.training.checkpoints import CheckpointError, read_tensors, write_bytes, write_json, write_tensors
from interceptor.training.export import BASE_NAME
from interceptor.training.localizer_data import FULL, IGNORED, Sample, Source, as_stored, make, plan
from interceptor.training.localizer_export import write_localizer
from interceptor.training.localizer_tokens import Tokens, cache_tokens

Report = Callable[[str, int, int, str], None]
"""(stage, done, in all, note)"""
FIRES = 0.001
"""An authentic picture on which more than this share is called is a hard one."""
STANDARD = 64
"""Samples from which the tokens' mean and spread are taken."""
THRESHOLDS = sigmoid(np.linspace(-5, 3, 65))


@dataclass(frozen=True)
class Member:
    """How one member is trained; figures after DESIGN's table of localizers, the steps fitted to cached tokens."""

    alpha: float
    gamma: float
    focal: float
    dice: float
    steps: int
    lr: float
    start: str = ""
    """The member whose weights it begins with, and whose mistakes are mined; "" for none."""
    below: float = 1.0
    """Forgeries that cover more than this share are left out."""
    draws: tuple[tuple[str, float], ...] = ()
    """What is drawn more often, and how many times as often: see `_draws`."""


MEMBERS = {
    "highres_no_ela": Member(0.75, 3, 0.7, 0.3, 350, 2e-3, draws=(("area<0.03", 3),)),
    "hard_negative": Member(0.25, 2, 0.7, 0.3, 100, 3e-4, "highres_no_ela", draws=(("false alarm", 2),)),
    "high_recall": Member(0.5, 2.5, 1, 1, 100, 3e-4, "highres_no_ela", draws=(("missed", 5),)),
    "small_forgery": Member(0.85, 4, 0.8, 0.2, 100, 3e-4, "highres_no_ela", 0.02, (("area<0.005", 5),)),
}
WEIGHTS = {"highres_no_ela": 1.5, "hard_negative": 1.2, "high_recall": 1.0}
UNION = {"small_forgery": 0.8}


@dataclass(frozen=True)
class Recipe:
    """What is trained on how much."""

    members: str = ",".join(MEMBERS)
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
    weight_decay: float = 0.02
    seed: int = 1


class LocalizerRun:
    """A run in its folder: `tokens/`, `NAME.safetensors` of each member, `run.json`, and `test/`, the pictures that
    were kept out. What is finished there is not done again.
    """

    def __init__(self, base: Path, sources: Sequence[Source], out: Path, recipe: Recipe, report: Report) -> None:
        self.base, self.sources, self.out, self.recipe, self.report = base, sources, out, recipe, report
        self.command = ""
        self.names = recipe.members.split(",")
        if unknown := sorted(set(self.names) - set(MEMBERS)):
            raise ValueError(f"no member {', '.join(unknown)}; choose from {', '.join(MEMBERS)}")

    def run(self) -> dict[str, Any]:
        """Everything; returns what `run.json` holds."""
        recipe = self.recipe
        described = dataclasses.asdict(recipe) | {
            "recipes": {name: dataclasses.asdict(MEMBERS[name]) for name in self.names},
            "sources": len(self.sources),
        }
        self._begin(json.loads(json.dumps(described)))
        write_test(self._plan("test", recipe.test_authentic, recipe.test_forged, 1), self.out / "test")
        train = self._tokens("train", recipe.authentic, recipe.forged, recipe.edited)
        val = self._tokens("val", recipe.val_authentic, recipe.val_forged, 1)
        members: dict[str, LocalizerDecoder] = {}
        for name in self.names:
            members[name] = self._member(name, train, val, members)
        card = {
            "command": self.command,
            "recipe": described,
            "data": self._data(train, val),
            **calibrate(val, {name: paint(member, val) for name, member in members.items()}),
        }
        write_json(self.out / "run.json", card)
        return card

    def _begin(self, recipe: dict[str, Any]) -> None:
        """Raises `CheckpointError` where a run of another recipe lies in the folder."""
        file = self.out / "recipe.json"
        if not file.is_file():
            write_json(file, recipe)
        elif json.loads(file.read_text(encoding="utf-8")) != recipe:
            raise CheckpointError(f"{self.out}: holds a run of another recipe; choose another folder")

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

    def _member(self, name: str, train: Tokens, val: Tokens, members: dict[str, LocalizerDecoder]) -> LocalizerDecoder:
        file = self.out / f"{name}.safetensors"
        if not file.is_file():
            recipe = MEMBERS[name]
            start = members.get(recipe.start)
            torch.manual_seed(self.recipe.seed)
            model = LocalizerDecoder(*_standard(train))
            if start is not None:
                model.load_state_dict(start.state_dict())
            weights = _draws(recipe, train, None if start is None else paint(start, train), self.recipe.authentic_share)
            fit(model, recipe, train, weights, self.recipe, partial(self._told, name, recipe.steps))
            write_tensors(file, model.state_dict())
            self.report("validation", 1, 1, f"{name}: mean F1 {_mean_f1(val, sigmoid(paint(model, val)), 0.5):.3f}")
        return _load(file)

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
    member: Member,
    data: Tokens,
    weights: np.ndarray,
    recipe: Recipe,
    advance: Callable[[int, str], None],
) -> None:
    """Train in place on samples drawn by `weights`: AdamW, one cycle of the learning rate, bfloat16 products."""
    rng = np.random.default_rng(recipe.seed)
    optimizer = torch.optim.AdamW(model.parameters(), member.lr, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, member.lr, member.steps, pct_start=0.1)
    model.train()
    smooth = 0.0
    for step in range(1, member.steps + 1):
        chosen = rng.choice(len(weights), recipe.batch, p=weights)
        tokens, targets = data.batch(chosen)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(tokens).float()
        loss = localisation_loss(logits, targets, member)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        smooth += (loss.item() - smooth) * max(0.05, 1 / step)
        advance(step, f"loss {smooth:.4f}")
    model.eval()


def localisation_loss(logits: Tensor, targets: Tensor, member: Member) -> Tensor:
    """Weighted focal (Lin et al., ICCV 2017) and Dice (Milletari et al., 3DV 2016) loss of logits `[n, h, w]`.

    `targets` uint8 `[n, h, w]` as in `localizer_data`; ignored cells have no part in either. Dice is that of the batch
    as a whole, so that what is called on authentic pictures costs as well.
    """
    judged = (targets != IGNORED).float()
    truth = targets.float().clamp(max=FULL) / FULL
    probability = logits.sigmoid()
    share = member.alpha * truth + (1 - member.alpha) * (1 - truth)
    surprise = (truth - probability).abs() ** member.gamma
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    focal = (share * surprise * entropy * judged).sum() / judged.sum().clamp_min(1)
    both = (probability * truth * judged).sum()
    either = ((probability + truth) * judged).sum()
    dice = 1 - (2 * both + 1) / (either + 1)
    return member.focal * focal + member.dice * dice


def paint(model: LocalizerDecoder, data: Tokens, batch: int = 16) -> np.ndarray:
    """A member's logits on all samples: float32[n, 112, 112]."""
    model.eval()
    maps = []
    for begin in range(0, len(data.samples), batch):
        tokens, _ = data.batch(np.arange(begin, min(begin + batch, len(data.samples))))
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            maps.append(model(tokens).float().numpy())
    return np.concatenate(maps)


def calibrate(val: Tokens, maps: dict[str, np.ndarray]) -> dict[str, Any]:
    """On validation samples: where pixels are called, what the picture's score means, and its thresholds by kind."""
    stacked = np.stack(list(maps.values()), 1)
    weights = {name: WEIGHTS[name] for name in maps if name in WEIGHTS}
    union = {name: UNION[name] for name in maps if name in UNION}
    whole = combined(stacked, list(maps), weights, union)
    scores = top_score(whole)
    labels = np.array([sample.forged for sample in val.samples])
    kinds = np.array([sample.source.kind for sample in val.samples])
    platt = fit_platt(scores, labels)
    # Nothing is called in a picture that is not likely altered, so that such pictures have no say in the threshold.
    probability = np.minimum(sigmoid(whole), (platt.apply(scores) >= 0.5)[:, None, None])
    found = [_mean_f1(val, probability, threshold) for threshold in THRESHOLDS]
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


def _load(file: Path) -> LocalizerDecoder:
    model = LocalizerDecoder()
    model.load_state_dict(read_tensors(file))
    return model.eval()


def _standard(data: Tokens) -> tuple[Tensor, Tensor]:
    """Mean and spread of each channel at each depth, `[5, 768]` each."""
    count = len(data.samples)
    tokens, _ = data.batch(np.arange(0, count, max(1, count // STANDARD)))
    return tokens.float().mean((0, 2)), tokens.float().std((0, 2)).clamp_min(1e-3)


def _draws(member: Member, data: Tokens, found: np.ndarray | None, authentic_share: float) -> np.ndarray:
    """How often each sample is drawn, float64[n] with sum 1; kinds weigh the same. `found` float[n, h, w] are the
    logits of the member whose mistakes are mined.
    """
    truth = (data.targets >= FULL / 2) & (data.targets != IGNORED)
    area = truth.mean(axis=(1, 2))
    forged = np.array([sample.forged for sample in data.samples])
    kinds = np.array([sample.source.kind for sample in data.samples])
    weights = np.ones(len(area))
    weights[forged & (area > member.below)] = 0
    for label in (False, True):
        for kind in np.unique(kinds):
            group = (kinds == kind) & (forged == label)
            weights[group] /= max(weights[group].sum(), 1)
    for what, times in member.draws:
        weights[_meant(what, area, forged, truth, found)] *= times
    for label, share in ((False, authentic_share), (True, 1 - authentic_share)):
        weights[forged == label] *= share / weights[forged == label].sum()
    return weights


def _meant(what: str, area: np.ndarray, forged: np.ndarray, truth: np.ndarray, found: np.ndarray | None) -> np.ndarray:
    """Which samples "area<SHARE", "false alarm" or "missed" means, bool[n]."""
    if what.startswith("area<"):
        return forged & (area < float(what.removeprefix("area<")))
    assert found is not None, f"{what!r} needs a member to start from"
    called = found > 0
    if what == "false alarm":
        return ~forged & (called.mean(axis=(1, 2)) > FIRES)
    return forged & ((called & truth).sum((1, 2)) < 0.5 * truth.sum((1, 2)))


def _mean_f1(data: Tokens, probability: np.ndarray, threshold: float) -> float:
    """Over forged samples, on the localizer's grid."""
    values = []
    for i, sample in enumerate(data.samples):
        if sample.forged:
            judged = data.targets[i] != IGNORED
            truth, called = (data.targets[i] >= FULL / 2) & judged, (probability[i] >= threshold) & judged
            values.append(2 * (truth & called).sum() / max(truth.sum() + called.sum(), 1))
    return float(np.mean(values))


def load_members(folder: Path, names: Sequence[str]) -> dict[str, LocalizerDecoder]:
    """The trained members of a run. Raises `CheckpointError`."""
    return {name: _load(folder / f"{name}.safetensors") for name in names}


def read_run(folder: Path) -> dict[str, Any]:
    """`run.json` of a finished run. Raises `FileNotFoundError`."""
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))
