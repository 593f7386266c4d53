"""Measure the whole scan on a folder of labelled files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np

from interceptor.datasets.listing import files_below
from interceptor.detect.result import ScanResult, Verdict
from interceptor.metrics.bootstrap import DRAWS, figures, share_interval

CLASSES = {"real": 0, "fake": 1}
"""Label by folder."""


def labelled_files(directory: str | Path) -> list[tuple[Path, int]]:
    """All files under `directory`/real (label 0) and `directory`/fake (label 1), at any depth, sorted; hidden ones
    left out.

    Raises `ValueError` naming the folder that is missing or holds no file.
    """
    files: list[tuple[Path, int]] = []
    for name, label in CLASSES.items():
        folder = Path(directory) / name
        if not folder.is_dir():
            raise ValueError(f"{folder}: no such folder; {directory} must hold the folders real and fake")
        inside = [path for path in files_below(folder) if path.is_file()]
        if not inside:
            raise ValueError(f"{folder}: the folder holds no files")
        files += [(path, label) for path in sorted(inside)]
    return files


def evaluate_videos(
    directory: str | Path,
    scan: Callable[[Path], ScanResult],
    *,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Scan the files of `directory` (see `labelled_files`) and measure per file; ready for JSON.

    `scan` returns its failures as results; what it raises ends the evaluation. `progress` is told (files done, in all).

    Measured on the files with a probability: `auc, ap, eer, tpr_at_fpr_05, balanced_accuracy, ece, brier, log_loss`,
    and at the scan's own threshold `false_alarm_rate` (authentic files called forged) and `detection_rate` (forged
    files called forged), with `stated_fpr` beside them; `intervals` are 95 %, by bootstrap over files, for the two
    rates Wilson's. `n_real, n_fake` count these files, `coverage` all, with the causes of those not scored;
    `verdicts` counts all files by class; `files` lists each with its path below `directory`. What one class alone
    does not define is None; `notes` says why.

    Raises `ValueError` for a missing or empty folder, and where no file at all got a probability.
    """
    files = labelled_files(directory)
    rows: list[dict[str, Any]] = []
    stated_fpr: set[float | None] = set()
    for done, (path, label) in enumerate(files, start=1):
        result = scan(path)
        row = {"path": path.relative_to(directory).as_posix(), "label": label}
        rows.append(row | {"probability": result.probability, "verdict": result.verdict, "cause": _cause(result)})
        stated_fpr.add(result.fpr)
        if progress is not None:
            progress(done, len(files))

    scored = [row for row in rows if row["probability"] is not None]
    failures = dict(Counter(row["cause"] for row in rows if row["cause"] is not None))
    if not scored:
        raise ValueError(f"{directory}: none of {len(files)} files could be scored: {failures}")
    labels = np.array([row["label"] for row in scored])
    probabilities = np.array([row["probability"] for row in scored])
    measured = figures(labels, probabilities, probabilities, draws=draws, seed=seed).as_dict()
    for name, label in (("false_alarm_rate", 0), ("detection_rate", 1)):
        called = [row["verdict"] == "forged" for row in scored if row["label"] == label]
        measured[name] = sum(called) / len(called) if called else None
        measured["intervals"][name] = list(share_interval(sum(called), len(called))) if called else None
    return measured | {
        "n_real": int((labels == 0).sum()),
        "n_fake": int((labels == 1).sum()),
        "stated_fpr": stated_fpr.pop() if len(stated_fpr) == 1 else None,
        "coverage": {
            "files": len(rows),
            "scored": len(scored),
            "share": len(scored) / len(rows),
            "failures": failures,
        },
        "verdicts": {
            name: {verdict: _count(rows, label, verdict) for verdict in get_args(Verdict)}
            for name, label in CLASSES.items()
        },
        "files": rows,
    }


def _cause(result: ScanResult) -> str | None:
    """Why a file has no probability; None where it has one."""
    if result.probability is not None:
        return None
    return result.errors[0].cause if result.errors else result.verdict


def _count(rows: list[dict[str, Any]], label: int, verdict: str) -> int:
    return sum(row["label"] == label and row["verdict"] == verdict for row in rows)
