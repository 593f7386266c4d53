"""The stack on real scores, fitted on some sources and tested on others: `python benchmarks/ensemble.py MATRIX.csv.gz`.

MATRIX is `predictions_medium.csv.gz` inside the package `deepsafe-bench` (PolyForm Noncommercial: for measuring only).
AUC by modality, of every file once, by a stack that has seen no file of its generator or real source. `mean` (of
log-odds over all members, nothing fitted) and `package` (that package's own score) need no fit; `best_member` is picked
with the test labels in hand, which favours it.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

from interceptor.metrics.bootstrap import bootstrap_intervals, paired_difference
from interceptor.metrics.classification import RANK_MEASURES, roc_auc
from interceptor.metrics.stacking import fit_stack, source_folds

MODALITIES = ("images", "audio", "video")
MOST_FOLDS = 10
NOTHING_FOUND = 0.5
"""What its members give exactly where they see nothing to judge (no face, no watermark, no manifest): they abstain."""
EXTREME = 1e-3
"""The plain mean's probabilities are kept this far from 0 and 1, unless `--extreme` says otherwise."""
FEWEST = 0.5
"""A member that scores fewer of a modality's files than this share was not made for it."""


def read(path: Path) -> dict[str, list[dict[str, str]]]:
    """Rows by modality."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {modality: [row for row in rows if row["modality"] == modality] for modality in MODALITIES}


def number(text: str) -> float:
    return float(text) if text else np.nan


def plain_mean(scores: np.ndarray, extreme: float) -> np.ndarray:
    """Mean log-odds of the members that gave a score, [n]; 0 where none did."""
    p = np.clip(scores, extreme, 1 - extreme)
    given = np.isfinite(p)
    return np.where(given, np.log(p / (1 - p)), 0.0).sum(axis=1) / np.maximum(given.sum(axis=1), 1)


def best_member(labels: np.ndarray, scores: np.ndarray, members: list[str]) -> tuple[str, np.ndarray]:
    """The member with the highest AUC over the files it scored, of those that scored at least half; gaps as 0.5."""
    able = [m for m in range(len(members)) if np.isfinite(scores[:, m]).mean() >= FEWEST]
    filled = np.nan_to_num(scores, nan=NOTHING_FOUND)
    best = max(able, key=lambda m: roc_auc(labels, filled[:, m]))
    return members[best], filled[:, best]


def measure(rows: list[dict[str, str]], most_folds: int, extreme: float) -> dict[str, Any]:
    columns = [name for name in rows[0] if name.startswith("prob_")]
    members = [name.removeprefix("prob_") for name in columns]
    labels = np.array([row["label"] == "fake" for row in rows])
    sources = np.array([row["generator"] for row in rows])
    scores = np.array([[number(row[name]) for name in columns] for row in rows])
    judged = np.where(scores == NOTHING_FOUND, np.nan, scores)

    real_sources = np.unique(sources[~labels])
    folds = min(most_folds, len(real_sources))
    fold = source_folds(labels, sources, folds)
    ours = np.full(labels.size, np.nan)
    kept: dict[str, int] = {}
    for f in range(folds):
        stack = fit_stack(judged[fold != f], labels[fold != f], sources[fold != f], members)
        ours[fold == f] = stack.log_odds(judged[fold == f])
        for member, weight in zip(members, stack.weights, strict=True):
            if weight > 0:
                kept[member] = kept.get(member, 0) + 1
    silent = ~np.isfinite(ours)
    ours[silent] = 0.0  # nobody says anything: even odds

    name, single = best_member(labels, scores, members)
    package = np.array([number(row["ensemble_score"]) for row in rows])
    auc = {"auc": RANK_MEASURES["auc"]}
    entrants = {"ours": ours, "mean": plain_mean(scores, extreme), "best_member": single, "package": package}
    return {
        **{entrant: round(roc_auc(labels, values), 4) for entrant, values in entrants.items()},
        "best_member_name": name,
        "intervals": {
            entrant: np.round(bootstrap_intervals(auc, labels, values, clusters=sources.tolist())["auc"], 3).tolist()
            for entrant, values in entrants.items()
        },
        "ours_less": {
            entrant: np.round(
                paired_difference(auc["auc"], labels, ours, values, clusters=sources.tolist())[:3], 3
            ).tolist()
            for entrant, values in entrants.items()
            if entrant != "ours"
        },
        "within_fold": {
            entrant: round(float(np.mean([roc_auc(labels[fold == f], v[fold == f]) for f in range(folds)])), 4)
            for entrant, v in entrants.items()
        },
        "n": labels.size,
        "n_real": int((~labels).sum()),
        "sources": {"real": len(real_sources), "fake": len(np.unique(sources[labels]))},
        "folds": folds,
        "members_kept_in_folds": kept,
        "scored_by_no_member_kept": int(silent.sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("matrix", type=Path, metavar="MATRIX.csv.gz")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--folds", type=int, default=MOST_FOLDS, help="at most; never more than real sources")
    parser.add_argument("--extreme", type=float, default=EXTREME, help="how far the mean keeps from 0 and 1")
    arguments = parser.parse_args()
    results = {
        modality: measure(rows, arguments.folds, arguments.extreme) for modality, rows in read(arguments.matrix).items()
    }
    if arguments.format == "json":
        print(json.dumps(results, indent=2))
        return
    for modality, result in results.items():
        parts = (f"{key} {result[key]:.3f} {result['intervals'][key]}" for key in result["intervals"])
        print(f"{modality:8}", "  ".join(parts))


if __name__ == "__main__":
    main()
