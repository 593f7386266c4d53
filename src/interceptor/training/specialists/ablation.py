"""Does each lens and its module earn its place? The same head trained without them, under one budget and many seeds.

Arms for each specialist, all over the same backbone tokens, the same pairs in the same order and the same recipe (pairs
that were made for the lens alone, whose tokens are equal, are left out: they would only hurt a head without):

- `lens`: the specialist's own lens, through its module and as statistics;
- `statistics`: the same run before its module is heard;
- `rgb`: the same head as `lens`, but the crop's colours at half resolution where the lens was;
- `plain`: no picture at all; in the module's place a small network of equal size reads the tokens.

`lens` less `statistics` is what the module adds, `lens` less `rgb` what the lens adds over looking in the same way at
what everyone sees, `lens` less `plain` what both add over a plain head. The read-out of the mean token that ships
beside each network (`readout.py`) is left out: it would be the same in all, and hide what they differ by.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from interceptor.forges.registry import family
from interceptor.metrics.bootstrap import paired_difference
from interceptor.metrics.classification import RANK_MEASURES, roc_auc
from interceptor.models.branches import GRID, ModuleSpec
from interceptor.models.modules import module_spec
from interceptor.models.standard import StandardHead
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

ARMS = ("lens", "statistics", "rgb", "plain")
OTHERS = ARMS[1:]
AUC = RANK_MEASURES["auc"]
BUDGET = Recipe(steps=200, pairs=16, module_steps=40, module_pairs=8)


class PlainHead(StandardHead):
    """A head of the same size that reads the tokens alone; it takes a lens and does not look at it."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec, TOKEN_WIDTH)
        channels = spec.channels
        count = sum(p.numel() for p in self.module.parameters())
        hidden = max(1, (count - channels) // (TOKEN_WIDTH + 1 + channels))
        self.module = nn.Sequential(nn.Linear(TOKEN_WIDTH, hidden), nn.ReLU(), nn.Linear(hidden, channels))
        self.fusion.features.reset_parameters()

    def standardise_module(self, lens: Tensor) -> None:
        """Nothing: it is heard from the first step."""

    def network(self, tokens: Tensor, pooled: Tensor, lens: Tensor, *, module: bool = True) -> Tensor:
        found = (
            self.module((tokens - self.fusion.mean) / (self.fusion.std * self.quiet))
            .transpose(1, 2)
            .unflatten(2, (GRID, GRID))
        )
        unseen = found.new_zeros(len(found), self.spec.statistics.width, GRID, GRID)
        return self.classifier(self.fusion(tokens, pooled, torch.cat([found, unseen], 1)))


def ablate(
    data: Path, jobs: Sequence[tuple[str, str]], recipe: Recipe, seeds: int, out: Path, report: Report
) -> list[dict[str, Any]]:
    """Train and compare the arms of each (specialist, task) on what `prepare specialists` stored.

    The last step of each run is measured on the split `test`: nothing was chosen on it. A job that is done is kept in
    `out` and not done again under the same recipe. Returns a row for each job: AUC of each arm and seed, and the
    differences of the arms' mean scores with 95 % intervals over media. Raises `CheckpointError` where pairs are
    missing, and `ValueError` for codes that are none or cannot be compared so.
    """
    for code in {code for code, _ in jobs}:
        if family(code).changes == "sound":
            raise ValueError(f"{code}: what differs within its pairs is heard; without its lens every arm is at chance")
    rows = []
    for done, (code, task) in enumerate(jobs, 1):
        file = out / f"{code}-{task}.json"
        budget = {**dataclasses.asdict(recipe), "seeds": seeds}
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
        seeded = dataclasses.replace(recipe, seed=seed)
        begun, done = recipe.steps, recipe.steps + recipe.module_steps
        found = _scores(new_head, code, train[code], test[code], seeded, {begun, done})
        logits["lens"].append(found[done])
        logits["statistics"].append(found[begun])
        logits["rgb"].append(_scores(new_head, code, train[RGB], test[RGB], seeded, {done})[done])
        logits["plain"].append(_scores(_plain_head, code, train[code], test[code], seeded, {done})[done])
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
        **{f"lens_less_{other}": gain(other) for other in OTHERS},
    }


def _plain_head(code: str) -> PlainHead:
    return PlainHead(module_spec(code))


def _scores(
    make: Callable[[str], StandardHead], code: str, train: Pairs, test: Pairs, recipe: Recipe, at: set[int]
) -> dict[int, np.ndarray]:
    """Scores of the test pairs after each of the steps `at`; 0 is before the first."""
    torch.manual_seed(recipe.seed)
    head = make(code)
    standardise(head, train, recipe.quiet)
    heads = chain([head], (measured for _, measured in fit(head, [train], recipe)))
    return {step: scores(measured, test)[1] for step, measured in enumerate(heads) if step in at}
