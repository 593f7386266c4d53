"""Does each lens and its module earn its place? The same head trained without them, under one budget and many seeds.

Three arms for each specialist, all over the same backbone tokens, the same pairs in the same order and the same recipe
(pairs that were made for the lens alone, whose tokens are equal, are left out: they would only hurt a head without):

- `lens`: the specialist's own lens and module;
- `rgb`: the same module, but the crop's colours at half resolution where the lens was;
- `plain`: no picture at all; in the module's place a small network of equal size reads the tokens.

`lens` less `plain` is what the module adds over a plain head, `lens` less `rgb` what the lens adds over looking with
the same convolutions at what everyone sees. The read-out of the mean token that ships beside each network
(`readout.py`) is left out: it would be the same in all three, and hide what they differ by.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from interceptor.metrics.bootstrap import paired_difference
from interceptor.metrics.classification import RANK_MEASURES, roc_auc
from interceptor.models.branches import GRID
from interceptor.models.specialist import StandardHead
from interceptor.training import checkpoints
from interceptor.training.screen import Report
from interceptor.training.specialists.data import RGB
from interceptor.training.specialists.trainer import (
    TOKEN_WIDTH,
    Pairs,
    Recipe,
    fit,
    new_head,
    read_pairs,
    scores,
    standardise,
)

ARMS = ("lens", "rgb", "plain")
AUC = RANK_MEASURES["auc"]
BUDGET = Recipe(steps=80, lr=2e-3, pairs=8, ema=0.95)


class PlainHead(StandardHead):
    """A head of the same size that reads the tokens alone; it takes a lens and does not look at it."""

    def __init__(self, head: StandardHead) -> None:
        nn.Module.__init__(self)
        channels = head.spec.channels
        count = sum(p.numel() for p in head.module.parameters())
        hidden = max(1, (count - channels) // (TOKEN_WIDTH + 1 + channels))
        self.spec, self.fusion, self.classifier = head.spec, head.fusion, head.classifier
        self.register_buffer("readout", head.readout)
        self.register_buffer("offset", head.offset)
        self.module = nn.Sequential(nn.Linear(TOKEN_WIDTH, hidden), nn.ReLU(), nn.Linear(hidden, channels))

    def features(self, tokens: Tensor, lens: Tensor) -> Tensor:
        found = self.module((tokens - self.fusion.mean) / self.fusion.std)
        return found.transpose(1, 2).unflatten(2, (GRID, GRID))


def ablate(
    data: Path, jobs: Sequence[tuple[str, str]], recipe: Recipe, seeds: int, out: Path, report: Report
) -> list[dict[str, Any]]:
    """Train and compare the arms of each (specialist, task) on what `prepare specialists` stored.

    The last step of each run is measured on the split `test`: nothing was chosen on it. A job that is done is kept in
    `out` and not done again under the same recipe. Returns a row for each job: AUC of each arm and seed, and the
    differences of the arms' mean scores with 95 % intervals over media. Raises `CheckpointError` where pairs are
    missing.
    """
    rows = []
    for done, (code, task) in enumerate(jobs, 1):
        file = out / f"{code}-{task}.json"
        budget = {"steps": recipe.steps, "pairs": recipe.pairs, "lr": recipe.lr, "seeds": seeds}
        row = json.loads(file.read_text()) if file.is_file() else {}
        if row.get("budget") != budget:
            row = {"budget": budget, **_job(data, code, task, recipe, seeds)}
            checkpoints.write_json(file, row)
        rows.append(row)
        report("ablation", done, len(jobs), f"{code} on {task}")
    return rows


def _job(data: Path, code: str, task: str, recipe: Recipe, seeds: int) -> dict[str, Any]:
    train = {lens: read_pairs(data, "train", task, lens).own() for lens in (code, RGB)}
    test = {lens: read_pairs(data, "test", task, lens) for lens in (code, RGB)}
    if train[code].media != train[RGB].media or test[code].media != test[RGB].media:
        raise checkpoints.CheckpointError(f"{data}: {code} and {RGB} have other pairs of {task!r}; prepare them anew")
    logits: dict[str, list[np.ndarray]] = {arm: [] for arm in ARMS}
    labels = np.tile([0, 1], len(test[code].rows))
    for seed in range(1, seeds + 1):
        for arm in ARMS:
            lens = RGB if arm == "rgb" else code
            logits[arm].append(_scores(arm, code, train[lens], test[lens], replace(recipe, seed=seed)))
    media = [name for name in test[code].media for _ in range(2)]
    # Runs differ in scale: each is brought to its own ranks before seeds are averaged.
    mean = {arm: np.mean([run.argsort().argsort() for run in runs], 0) for arm, runs in logits.items()}

    def gain(other: str) -> list[float]:
        return [float(x) for x in paired_difference(AUC, labels, mean["lens"], mean[other], clusters=media)[:3]]

    return {
        "specialist": code,
        "task": task,
        "train_pairs": len(train[code].rows),
        "test_pairs": len(test[code].rows),
        "test_media": len(set(test[code].media)),
        "auc": {arm: [roc_auc(labels, run) for run in runs] for arm, runs in logits.items()},
        "lens_less_rgb": gain("rgb"),
        "lens_less_plain": gain("plain"),
    }


def _scores(arm: str, code: str, train: Pairs, test: Pairs, recipe: Recipe) -> np.ndarray:
    torch.manual_seed(recipe.seed)
    head = PlainHead(new_head(code)) if arm == "plain" else new_head(code)
    standardise(head, train)
    *_, (_, measured) = fit(head, [train], recipe)
    return scores(measured, test)[1]
