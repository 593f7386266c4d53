"""Measure a model of face crops on an index of labelled crops."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interceptor.datasets.crops import Crop, read_crop, read_index
from interceptor.metrics.bootstrap import DRAWS, figures
from interceptor.metrics.classification import roc_auc

Score = Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]
"""RGB crops uint8[n, 224, 224, 3] -> logits float[n], above 0 leaning forged."""

Calibrate = Callable[[NDArray[np.float64]], NDArray[np.floating[Any]]]
"""Logits float64[n] -> probabilities of forgery float[n], 0..1."""


@dataclass(frozen=True)
class Scored:
    """A crop that was read and scored."""

    crop: Crop
    logit: float
    size: int
    """Bytes of its file."""


def evaluate_crops(
    index: str | Path,
    score: Score,
    calibrate: Calibrate,
    *,
    split: str | None = None,
    limit: int | None = None,
    batch: int = 32,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Score the crops of an index (see `read_index`) and measure; ready for JSON.

    `limit` keeps at most that many crops, spread evenly over each class. `progress` is told (crops done, crops in
    all). Crops of another size than 224 x 224 are resized (Lanczos) and counted. A file that is missing or cannot be
    read is left out, counted by cause in `failures` and named in `failed`.

    The result holds `auc, ap, eer, tpr_at_fpr_05` (of logits), `balanced_accuracy, ece, brier, log_loss` (of
    probabilities), `intervals` (95 %, bootstrap; crops of one clip, or else of one original, are drawn together, as
    `drawn_by` says), `n_real, n_fake`, `baseline_file_size_auc` (the trivial baseline: a smaller file is the more
    suspicious one), `resized`, `failures`, `failed` and `notes`; and where the index has the columns, `by_clip` (the
    same measures of each clip's mean logit), `by_source` (AUC within each) and `by_model` (AUC of its forgeries
    against all authentic crops). Measures that the scored crops do not define are None, and `notes` says why.

    Raises as `read_index` does, and `ValueError` if no crop could be scored or `score` returns other than one finite
    number for each crop.
    """
    crops = read_index(index, split)
    if limit is not None:
        crops = _spread(crops, limit)
    scored, failed, resized = _score_all(crops, score, batch, progress)
    failures = dict(Counter(entry["cause"] for entry in failed))
    if not scored:
        raise ValueError(f"{index}: none of {len(crops)} crops could be scored: {failures}")

    labels = np.array([s.crop.label for s in scored])
    logits = np.array([s.logit for s in scored])
    drawn_by = _drawn_by(scored)
    clusters = None if drawn_by is None else [_group(s.crop, drawn_by) for s in scored]
    result = figures(labels, logits, calibrate(logits), clusters=clusters, draws=draws, seed=seed).as_dict()
    result |= {"n_real": int((labels == 0).sum()), "n_fake": int((labels == 1).sum()), "drawn_by": drawn_by}
    result["baseline_file_size_auc"] = _auc(labels, -np.array([s.size for s in scored]))
    if drawn_by is not None:
        result["by_clip"] = _by_clip(scored, drawn_by, calibrate, draws, seed)
    if any(s.crop.source for s in scored):
        result["by_source"] = _by_source(scored)
    if any(s.crop.model for s in scored):
        result["by_model"] = _by_model(scored)
    return result | {"resized": resized, "failures": failures, "failed": failed}


def _score_all(
    crops: list[Crop], score: Score, batch: int, progress: Callable[[int, int], None] | None
) -> tuple[list[Scored], list[dict[str, str]], int]:
    """The scored crops, the failed ones (path and cause), and how many were resized; reads one batch at a time."""
    scored: list[Scored] = []
    failed: list[dict[str, str]] = []
    resized = 0
    for start in range(0, len(crops), batch):
        read: list[Crop] = []
        pictures: list[NDArray[np.uint8]] = []
        for crop in crops[start : start + batch]:
            try:
                picture, was_resized = read_crop(crop.path)
            except FileNotFoundError:
                failed.append({"path": str(crop.path), "cause": "missing_file"})
            except OSError:
                failed.append({"path": str(crop.path), "cause": "unreadable"})
            else:
                read.append(crop)
                pictures.append(picture)
                resized += was_resized
        if pictures:
            logits = np.asarray(score(np.stack(pictures)), dtype=np.float64)
            if logits.shape != (len(pictures),) or not np.isfinite(logits).all():
                raise ValueError(f"the model gave {logits} for {len(pictures)} crops from {read[0].path} on")
            scored += [
                Scored(crop, float(logit), crop.path.stat().st_size) for crop, logit in zip(read, logits, strict=True)
            ]
        if progress is not None:
            progress(min(start + batch, len(crops)), len(crops))
    return scored, failed, resized


def _spread(crops: list[Crop], limit: int) -> list[Crop]:
    """At most `limit` crops in their order, the classes in their proportion, each taken at even steps."""
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    if limit >= len(crops):
        return crops
    # Sorted by class, even steps over the whole list are even steps over each class.
    by_class = sorted(range(len(crops)), key=lambda i: crops[i].label)
    return [crops[i] for i in sorted(by_class[k * len(crops) // limit] for k in range(limit))]


def _drawn_by(scored: list[Scored]) -> str | None:
    return next((name for name in ("clip", "original") if any(getattr(s.crop, name) for s in scored)), None)


def _group(crop: Crop, column: str) -> str:
    """The crop's clip or original; a crop without one stands for itself."""
    return getattr(crop, column) or str(crop.path)


def _auc(labels: NDArray[Any], scores: NDArray[Any]) -> float | None:
    """None where one class is missing."""
    return roc_auc(labels, scores) if 0 < labels.sum() < labels.size else None


def _by_clip(scored: list[Scored], column: str, calibrate: Calibrate, draws: int, seed: int) -> dict[str, Any]:
    """All measures over the mean logit of each clip (or original), forged and authentic crops apart."""
    members: dict[tuple[str, int], list[float]] = defaultdict(list)
    for s in scored:
        members[_group(s.crop, column), s.crop.label].append(s.logit)
    labels = np.array([label for _, label in members])
    logits = np.array([np.mean(of_clip) for of_clip in members.values()])
    measured = figures(labels, logits, calibrate(logits), draws=draws, seed=seed).as_dict()
    counts = {"n_real": int((labels == 0).sum()), "n_fake": int((labels == 1).sum())}
    return {"grouped_by": column} | counts | measured


def _by_source(scored: list[Scored]) -> dict[str, Any]:
    groups: dict[str, list[Scored]] = defaultdict(list)
    for s in scored:
        if s.crop.source:
            groups[s.crop.source].append(s)
    return {source: _counted_auc(groups[source]) for source in sorted(groups)}


def _by_model(scored: list[Scored]) -> dict[str, Any]:
    authentic = [s for s in scored if s.crop.label == 0]
    groups: dict[str, list[Scored]] = defaultdict(list)
    for s in scored:
        if s.crop.label == 1 and s.crop.model:
            groups[s.crop.model].append(s)
    return {model: _counted_auc(authentic + groups[model]) for model in sorted(groups)}


def _counted_auc(scored: list[Scored]) -> dict[str, Any]:
    labels = np.array([s.crop.label for s in scored])
    auc = _auc(labels, np.array([s.logit for s in scored]))
    return {"auc": auc, "n_real": int((labels == 0).sum()), "n_fake": int((labels == 1).sum())}
