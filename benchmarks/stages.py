"""What a stage's specialist is worth on the split `val`, per class, at a threshold that `val` had no part in.

    python benchmarks/stages.py ll runs/ll/dfdc PREPARED [--rows 300]

The threshold is the one with the best mean of both classes' accuracies on `--rows` training rows that the run never
drew. Prints AUC and accuracies with 95 % intervals, and the run's history by chunk.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from interceptor.datasets.shards import Shards
from interceptor.metrics.bootstrap import bootstrap_intervals
from interceptor.metrics.classification import RANK_MEASURES, roc_auc
from interceptor.training.stages.balance import epoch_draws
from interceptor.training.stages.data import Plan, plan
from interceptor.training.stages.recipe import Recipe
from interceptor.training.stages.scoring import read_specialist, score_rows
from interceptor.training.stages.starts import Trained
from interceptor.training.stages.token_store import open_tokens


def drawn(shards: Shards, recipe: Recipe, chosen: Plan, processes: int) -> set[int]:
    """Rows that the run's epochs drew."""
    found: set[int] = set()
    whole = recipe.batch * recipe.accumulate * processes
    for chunk in chosen.chunks:
        steps = max(1, (recipe.epoch_samples or len(chunk.places)) // whole)
        rows = [shards.rows[i] for i in chunk.places]
        for epoch in range(recipe.epochs):
            seed = (recipe.seed, chunk.number + 1, epoch)
            draws = epoch_draws(rows, chunk.places, steps * whole, balance=recipe.balance, seed=seed)
            found |= {draw.row for draw in draws}
    return found


def best_threshold(labels: np.ndarray, logits: np.ndarray) -> float:
    """The logit with the best balanced accuracy."""
    candidates = np.unique(logits)
    found = [((logits >= t)[labels == 1].mean() + (logits < t)[labels == 0].mean()) / 2 for t in candidates]
    return float(candidates[int(np.argmax(found))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("code")
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=300)
    arguments = parser.parse_args()

    model, facts = read_specialist(arguments.code, arguments.run / "best.safetensors")
    recipe = Recipe(**facts["recipe"])
    shards = Shards(arguments.data)
    chosen = plan(shards, arguments.code, recipe.model_copy(update={"validate_samples": 0}))
    trained, encode = Trained(model, recipe), lambda batch: batch.crops
    if recipe.frozen:
        store = open_tokens(arguments.data, len(shards.rows), model.backbone, recipe, torch.device("cpu"))
        encode = lambda batch: store(batch.rows, batch.crops)  # noqa: E731

    unseen = sorted({i for c in chosen.chunks for i in c.places} - drawn(shards, recipe, chosen, facts["devices"]))
    if len({shards.rows[i].label for i in unseen}) < 2:
        raise SystemExit("the run drew every training row of a class; no row is left to choose a threshold on")
    some = np.random.default_rng(0).permutation(unseen)[: arguments.rows].tolist()
    aside = score_rows(trained, encode, shards, arguments.code, recipe, sorted(some))
    threshold = best_threshold(aside.labels, aside.logits)
    scores = score_rows(trained, encode, shards, arguments.code, recipe, chosen.validation)
    called = scores.logits >= threshold
    right = {name: (called == label)[scores.labels == label] for label, name in enumerate(("authentic", "forged"))}
    spread = {name: 1.96 * np.sqrt(r.mean() * (1 - r.mean()) / len(r)) for name, r in right.items()}
    auc = bootstrap_intervals({"auc": RANK_MEASURES["auc"]}, scores.labels, scores.logits)["auc"]
    found = {
        "val": len(scores.rows),
        "threshold": round(threshold, 3),
        "chosen on training rows never drawn": len(aside.rows),
        "auc": round(roc_auc(scores.labels, scores.logits), 4),
        "interval": auc,
        **{f"accuracy {name}": f"{r.mean():.3f} +- {spread[name]:.3f}" for name, r in right.items()},
        "accuracy of both, mean": round(float(np.mean([r.mean() for r in right.values()])), 3),
    }
    print(json.dumps(found, indent=2, default=str))
    keys = ("chunk", "epoch", "train_loss", "loss", "auc", "accuracy_authentic", "accuracy_forged", "waited_for_data")
    print(f"| {' | '.join(keys)} |\n|{'---|' * len(keys)}")
    for entry in json.loads((arguments.run / "run.json").read_text())["history"]:
        cells = (f"{entry[k]:.3f}" if isinstance(entry[k], float) else str(entry[k]) for k in keys)
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
