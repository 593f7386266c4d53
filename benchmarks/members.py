"""What each member of localizer runs finds in the runs' validation samples.

    python benchmarks/members.py RUN [RUN ...] [--control RUN]

A run is a folder that `interceptor train localizer` (standard tier) filled. A pixel is called at a probability of .5 on
the map of 112 x 112, before calibration: members are compared with each other, not with what ships. With a control, a
run of the same samples and another recipe, members that both hold are compared sample by sample.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from interceptor.metrics.classification import average_precision, roc_auc
from interceptor.metrics.maps import top_score
from interceptor.training.localizers.data import IGNORED
from interceptor.training.localizers.mining import FIRES, FOUND, truths
from interceptor.training.localizers.recipes import STANDARD
from interceptor.training.localizers.run import opened
from interceptor.training.localizers.tokens import Tokens
from interceptor.training.localizers.trainer import LocalizerRun, Recipe, load_members, paint

SMALL, TINY = 0.02, 0.005
DRAWS = 2000


def of_samples(maps: np.ndarray, val: Tokens) -> dict[str, np.ndarray]:
    """Values float[n] of the validation samples, NaN where a measure is not of that sample."""
    values: dict[str, np.ndarray] = defaultdict(lambda: np.full(len(maps), np.nan))
    for i, (sample, logits, target) in enumerate(zip(val.samples, maps, val.targets, strict=True)):
        judged, truth = target != IGNORED, truths(target)
        called = (logits >= 0) & judged
        if not sample.forged:
            values["fires"][i] = called.mean() > FIRES
            values["false area"][i] = called.mean()
        elif truth.any():
            both = (called & truth).sum()
            f1, recall = 2 * both / (called.sum() + truth.sum()), both / truth.sum()
            values["F1"][i], values["recall"][i], values["missed"][i] = f1, recall, recall < FOUND
            values["AP"][i] = average_precision(truth[judged].astype(int), logits[judged].astype(float))
            if truth.mean() < SMALL:
                values["F1 < 2 %"][i], values["recall < 2 %"][i] = f1, recall
            if truth.mean() < TINY:
                values["recall < .5 %"][i] = recall
            if sample.source.mask is not None:
                values["F1 edited"][i] = f1
    return values


def compared(run: np.ndarray, control: np.ndarray) -> str:
    """Both means, their difference, and its 95 % interval by bootstrap over the pairs."""
    kept = ~np.isnan(run)
    differences = run[kept] - control[kept]
    drawn = np.random.default_rng(0).choice(differences, (DRAWS, len(differences))).mean(1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    means = f"{run[kept].mean():.3f} | {control[kept].mean():.3f} | {differences.mean():+.3f}"
    return f"{len(differences)} | {means} | {low:+.3f} to {high:+.3f}"


COLUMNS = (
    "F1",
    "F1 edited",
    "recall",
    "missed",
    "AP",
    "F1 < 2 %",
    "recall < 2 %",
    "recall < .5 %",
    "fires",
    "false area",
)


def maps_of(folder: Path) -> tuple[dict[str, np.ndarray], Tokens]:
    """The trained members' maps of a run's validation samples, and those."""
    _, settings, sources = opened(folder)
    base = folder / "tokens" / "foundation.safetensors"
    run = LocalizerRun(base, sources, folder, Recipe(**{"members": STANDARD[0], **settings}), lambda *said: None)
    val = run.val_tokens()
    trained = [name for name in STANDARD if (folder / f"{name}.safetensors").is_file()]
    return {name: paint(model, val) for name, model in load_members(folder, trained, run.recipe.gate).items()}, val


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--control", type=Path, help="compare the last run with this one")
    arguments = parser.parse_args()
    print("| run | member | " + " | ".join(COLUMNS) + " | picture AUC |")
    print("|" + "---|" * (len(COLUMNS) + 3))
    folders = [*arguments.runs, *([arguments.control] if arguments.control else [])]
    painted = [maps_of(folder) for folder in folders]
    for folder, (maps, val) in zip(folders, painted, strict=True):
        for name, found in maps.items():
            values = of_samples(found, val)
            row = " | ".join(f"{np.nanmean(values[column]):.3f}" if column in values else "" for column in COLUMNS)
            auc = roc_auc([int(sample.forged) for sample in val.samples], top_score(found))
            print(f"| {folder.name} | {name} | {row} | {auc:.3f} |", flush=True)
    if arguments.control is None:
        return
    (maps, val), (controls, others) = painted[-2:]
    if [sample.name for sample in val.samples] != [sample.name for sample in others.samples]:
        parser.error(f"{arguments.control}: its validation samples are others")
    print("\n| member | measure | samples | run | control | difference | 95 % |\n|" + "---|" * 7)
    for name in [name for name in maps if name in controls]:
        run, control = of_samples(maps[name], val), of_samples(controls[name], val)
        for column in COLUMNS:
            if column in run:
                print(f"| {name} | {column} | {compared(run[column], control[column])} |", flush=True)


if __name__ == "__main__":
    main()
