"""What each member of localizer runs finds in the runs' validation samples.

    python benchmarks/members.py RUN [RUN ...]

A run is a folder that `interceptor train localizer` (standard tier) filled. A pixel is called at a probability of .5 on
the map of 112 x 112, before calibration: members are compared with each other, not with what ships.
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

SMALL = 0.02


def measured(maps: np.ndarray, val: Tokens) -> dict[str, float]:
    """Means over validation samples: of all forgeries, of those under 2 %, of authentic samples."""
    values: dict[str, list[float]] = defaultdict(list)
    for sample, logits, target in zip(val.samples, maps, val.targets, strict=True):
        judged, truth = target != IGNORED, truths(target)
        called = (logits >= 0) & judged
        if not sample.forged:
            values["fires"].append(called.mean() > FIRES)
            values["false area"].append(called.mean())
        elif truth.any():
            both = (called & truth).sum()
            f1, recall = 2 * both / (called.sum() + truth.sum()), both / truth.sum()
            values["F1"].append(f1)
            values["recall"].append(recall)
            values["missed"].append(recall < FOUND)
            values["AP"].append(average_precision(truth[judged].astype(int), logits[judged].astype(float)))
            if truth.mean() < SMALL:
                values["F1 < 2 %"].append(f1)
                values["recall < 2 %"].append(recall)
            if sample.source.mask is not None:
                values["F1 edited"].append(f1)
    labels = [int(sample.forged) for sample in val.samples]
    return {name: float(np.mean(each)) for name, each in values.items()} | {
        "picture AUC": roc_auc(labels, top_score(maps))
    }


OVERLAPS = ("F1", "F1 edited", "recall", "missed", "AP", "F1 < 2 %", "recall < 2 %")
COLUMNS = (*OVERLAPS, "fires", "false area", "picture AUC")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    print("| run | member | " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * (len(COLUMNS) + 2))
    for folder in parser.parse_args().runs:
        _, settings, sources = opened(folder)
        base = folder / "tokens" / "foundation.safetensors"
        run = LocalizerRun(base, sources, folder, Recipe(**{"members": STANDARD[0], **settings}), lambda *said: None)
        val = run.val_tokens()
        for name in STANDARD:
            if (folder / f"{name}.safetensors").is_file():
                found = measured(paint(load_members(folder, [name], run.recipe.gate)[name], val), val)
                row = " | ".join(f"{found[column]:.3f}" if column in found else "" for column in COLUMNS)
                print(f"| {folder.name} | {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
