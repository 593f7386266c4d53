"""What a specialist gets right on the validation split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from interceptor.datasets.shards import Shards
from interceptor.metrics.calibration import Platt
from interceptor.metrics.classification import log_loss, roc_auc
from interceptor.training.checkpoints import write_bytes
from interceptor.training.stages.data import NAMES, DataError
from interceptor.training.stages.snapshots import guarded

WORST = 12
"""Errors that are kept as pictures."""
BINS = 10


class Scores(NamedTuple):
    """Of the rows whose lens had something to look at, in the order of the manifest."""

    rows: np.ndarray
    """int64[n], places in the manifest"""
    labels: np.ndarray
    """int64[n]"""
    logits: np.ndarray
    """float64[n], above 0 leans forged"""

    @property
    def probabilities(self) -> np.ndarray:
        return Platt(1.0, 0.0).apply(self.logits)


def gathered(parts: Sequence[Scores]) -> Scores:
    """One of several, by rows."""
    rows, labels, logits = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.argsort(rows, kind="stable")
    return Scores(rows[order], labels[order], logits[order])


def measure(scores: Scores, asked: int) -> dict[str, Any]:
    """Loss (cross-entropy, nats), AUC, and per-class accuracy at a probability of one half; `asked` rows were to be
    scored.

    Raises `DataError` where a class is missing among the rows whose lens did not abstain.
    """
    for label, name in enumerate(NAMES):
        if not (scores.labels == label).any():
            raise DataError(f"validation: the lens abstained from every {name} sample ({asked} rows in all)")
    called = scores.logits >= 0
    return {
        "n": len(scores.rows),
        "abstained": asked - len(scores.rows),
        "loss": log_loss(scores.labels, scores.probabilities),
        "auc": roc_auc(scores.labels, scores.logits),
        "accuracy_authentic": float((~called[scores.labels == 0]).mean()),
        "accuracy_forged": float(called[scores.labels == 1].mean()),
    }


def details(scores: Scores) -> dict[str, Any]:
    """For the run's page: the confusion matrix at one half (rows: true class), and how often forgeries are met where
    a probability is given, as [mean probability, share forged, n] of each bin that is not empty.
    """
    called = (scores.logits >= 0).astype(int)
    confusion = [[int(((scores.labels == a) & (called == b)).sum()) for b in (0, 1)] for a in (0, 1)]
    place = np.minimum((scores.probabilities * BINS).astype(int), BINS - 1)
    bins = [place == b for b in range(BINS) if (place == b).any()]
    reliability = [
        [float(scores.probabilities[member].mean()), float(scores.labels[member].mean()), int(member.sum())]
        for member in bins
    ]
    return {"confusion": confusion, "reliability": reliability}


def keep_worst(scores: Scores, shards: Shards, folder: Path) -> list[dict[str, Any]]:
    """Write the crops of the surest errors as JPEG into `folder`, which is emptied first; what they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.jpg"):
        old.unlink()
    wrongness = np.where(scores.labels == 1, -scores.logits, scores.logits)
    found: list[dict[str, Any]] = []
    for place in np.argsort(-wrongness, kind="stable")[:WORST]:
        if wrongness[place] <= 0:
            break
        row = shards.rows[int(scores.rows[place])]
        name = f"{len(found):02d}.jpg"
        crop = shards.read(int(scores.rows[place]), ()).crops[0]
        picture = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))[1].tobytes()
        guarded(write_bytes, folder / name, picture)
        found.append(
            {
                "file": f"{folder.name}/{name}",
                "key": row.key,
                "truth": NAMES[row.label],
                "method": row.method,
                "probability": float(scores.probabilities[place]),
            }
        )
    return found
