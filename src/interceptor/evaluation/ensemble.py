"""Weights of the screen and the specialists, fitted on labelled files, and whether together they beat the screen alone.

Every figure is out of fold: folds leave out whole sources, calibrations included. The ensemble takes the verdict over
only if it is better than the screen on the files **and** on collected crops of another set, each time by more than
chance (paired bootstrap, the 95 % interval of the AUC's difference above 0).
"""

from __future__ import annotations

import dataclasses
import glob
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from interceptor.datasets.crops import Crop, read_crop
from interceptor.datasets.listing import media_files
from interceptor.datasets.splits import first_word, split_of
from interceptor.detect.ensemble import SPECIALISTS
from interceptor.detect.panel import MEMBERS
from interceptor.detect.result import ScanResult
from interceptor.detect.router import GATES
from interceptor.detect.screen import ScreenNetwork
from interceptor.detect.specialists import Specialists
from interceptor.lenses import Abstain
from interceptor.media.clips import FaceClip
from interceptor.media.crops import CROP_SIZE, TEMPLATE
from interceptor.metrics.bootstrap import bootstrap_intervals, paired_difference
from interceptor.metrics.calibration import risk_curve
from interceptor.metrics.classification import RANK_MEASURES, roc_auc
from interceptor.metrics.stacking import Stack, fit_stack, source_folds

AUC = {"auc": RANK_MEASURES["auc"]}
FOLDS = 5
FEWEST = 5
"""Scores of either class that a member must have given to be calibrated: labelled files with sound are few."""
BATCH = 32
MEASURES = tuple(dict.fromkeys(gate.measure for gates in GATES.values() for gate in gates))
Measures = Mapping[str, np.ndarray]
EXTREME = 1e-12
"""Probabilities are kept this far from 0 and 1."""


@dataclass(frozen=True)
class Item:
    """A labelled file or crop, and every member's score in the order of `MEMBERS`; NaN where one abstains."""

    path: str
    label: int
    source: str
    scores: tuple[float, ...]
    quality: Mapping[str, float] = field(default_factory=dict)
    """`Quality.measures`; of a crop nothing is known."""


def labelled(texts: Sequence[str], label: int, trained_on: Sequence[Path]) -> tuple[list[tuple[Path, int, str]], int]:
    """Files of `[SOURCE=]PATH` (a file, a folder or a glob), and how many of them specialists have learned from.

    Those, files below `trained_on` of the split `train`, are left out. Without a name, a file's source is the first
    word of its name. Raises `ValueError` where nothing is found.
    """
    found, left_out = [], 0
    for text in texts:
        name, _, pattern = text.rpartition("=")
        files = list(media_files([Path(match) for match in sorted(glob.glob(pattern))]))  # noqa: PTH207 (absolute)
        if not files:
            raise ValueError(f"{pattern}: no such files")
        for path in files:
            if split_of(path) == "train" and any(folder in path.parents for folder in trained_on):
                left_out += 1
            else:
                found.append((path, label, name or first_word(path)))
    return found, left_out


def score_files(
    files: Sequence[tuple[Path, int, str]],
    scan: Callable[[Path], ScanResult],
    advance: Callable[[], None] = lambda: None,
) -> tuple[list[Item], dict[str, int]]:
    """The members' scores of each file's deciding face, and how many files gave none, by cause.

    `scan` must let the screen decide, so that specialists tell their own probabilities, and measure the quality.
    """
    items: list[Item] = []
    failures: Counter[str] = Counter()
    for path, label, source in files:
        result = scan(path)
        advance()
        if result.screen is None or result.screen.probability is None:
            failures[result.errors[0].cause if result.errors else result.verdict] += 1
            continue
        parts = [result.screen, *(result.specialists[code] for code in SPECIALISTS)]
        scores = [np.nan if part.probability is None else _log_odds(part.probability) for part in parts]
        quality = {name: np.nan if value is None else value for name, value in (result.quality or {}).items()}
        items.append(Item(path.name, label, source, tuple(scores), quality))
    return items, dict(failures)


def score_crops(
    crops: Sequence[Crop],
    screen: ScreenNetwork,
    probability: Callable[[np.ndarray], np.ndarray],
    specialists: Specialists,
    advance: Callable[[int], None] = lambda count: None,
) -> list[Item]:
    """The same of collected crops, which show nothing but the aligned face: lenses that need more abstain."""
    items = []
    for begin in range(0, len(crops), BATCH):
        rows = crops[begin : begin + BATCH]
        images = np.stack([read_crop(row.path)[0] for row in rows])
        seen = screen.look(images)
        for row, image, own, tokens in zip(rows, images, probability(seen.logits), seen.tokens, strict=True):
            moment = FaceClip(image[None], (TEMPLATE * CROP_SIZE)[None], np.zeros(1))
            scores = dict.fromkeys(MEMBERS, np.nan) | {"screen": _log_odds(float(own))}
            for code, member in specialists.members.items():
                try:
                    scores[code] = member.look([moment], tokens[None]).log_odds
                except Abstain:
                    continue
            items.append(Item(row.path.name, row.label, row.origin, tuple(scores.values())))
        advance(len(rows))
    return items


def fit(files: Sequence[Item], crops: Sequence[Item]) -> dict[str, Any]:
    """What the card stores: `stack`, `calibration`, `thresholds`, `verdict_from`, `why` and `figures`.

    Raises `ValueError` where there are too few files, or no member points to forgeries.
    """
    table, labels, sources = _arrays(files)
    quality = {name: np.array([file.quality.get(name, np.nan) for file in files]) for name in MEASURES}
    stack = _fit(table, labels, sources, quality)
    together = out_of_fold(table, labels, sources, quality)
    on_files = _compared(labels, together, table[:, 0], sources)
    figures = {
        "files": _counts(labels, sources) | on_files,
        "members": _members(table, labels, sources, quality, together, stack),
    }
    better = on_files["gain_low"] > 0 and bool(crops)
    if crops:
        seen, truth, origins = _arrays(crops)
        said = np.nan_to_num(stack.log_odds(seen))  # even odds where no member with a weight sees anything
        figures["crops"] = _counts(truth, origins) | _compared(truth, said, seen[:, 0], origins)
        better &= figures["crops"]["gain_low"] > 0
    aucs = f"AUC {on_files['together']:.3f} against {on_files['screen']:.3f}"
    how = "better" if better else "worse" if on_files["gain_high"] < 0 else "not surely better"
    why = f"on sources not seen, all together are {how} than the screen alone ({aucs})"
    if not any(stack.weights[1:]):
        why = "on sources not seen, none of them adds to the screen by more than chance"
    by_source = [
        {str(s): together[(sources == s) & (labels == kind)] for s in np.unique(sources[labels == kind])}
        for kind in (0, 1)
    ]
    return {
        "stack": stack.as_dict(),
        "calibration": {"slope": 1.0, "offset": 0.0},
        "thresholds": {
            side: dataclasses.asdict(risk_curve(values, side=side))  # type: ignore[arg-type]
            for side, values in zip(("forged", "authentic"), by_source, strict=True)
        },
        "verdict_from": "ensemble" if better else "screen",
        "why": why,
        "figures": figures,
    }


def _fit(table: np.ndarray, labels: np.ndarray, sources: np.ndarray, quality: Measures) -> Stack:
    """The screen was calibrated on thousands of clips, and has learned from more: the others must be worth adding."""
    return fit_stack(
        table,
        labels,
        sources,
        MEMBERS,
        folds=FOLDS,
        fewest=FEWEST,
        incumbent=MEMBERS[0],
        quality=quality,
        gates=GATES,
    )


def out_of_fold(
    table: np.ndarray, labels: np.ndarray, sources: np.ndarray, quality: Measures | None = None
) -> np.ndarray:
    """Log-odds float64[n] of each item by a stack that has seen nothing of its source; 0 where all members abstain."""
    fewest = min(np.unique(sources[labels == kind]).size for kind in (0, 1))
    fold = source_folds(labels, sources, min(FOLDS, fewest))
    scores = np.zeros(len(labels))
    for k in np.unique(fold):
        seen = fold != k
        fitting, held = ({name: values[rows] for name, values in (quality or {}).items()} for rows in (seen, ~seen))
        stack = _fit(table[seen], labels[seen], sources[seen], fitting)
        scores[~seen] = np.nan_to_num(stack.log_odds(table[~seen], held))
    return scores


def _members(
    table: np.ndarray, labels: np.ndarray, sources: np.ndarray, quality: Measures, together: np.ndarray, stack: Stack
) -> dict[str, Any]:
    """For each member: how many files it scored, its own AUC there, its weight, where it counts, and what the rest
    lacks without it.
    """
    found: dict[str, Any] = {}
    total = sum(stack.weights) or 1.0
    for column, (name, weight) in enumerate(zip(MEMBERS, stack.weights, strict=True)):
        said = np.isfinite(table[:, column])
        row: dict[str, Any] = {"scored": int(said.sum()), "auc": None, "weight": round(weight / total, 3)}
        row["gate"] = str(stack.gates[name]) if name in stack.gates else None
        if len(set(labels[said])) == 2:
            row["auc"] = round(float(roc_auc(labels[said], table[said, column])), 3)
        row |= {"added": None, "added_low": None, "added_high": None}
        if said.any():
            without = table.copy()
            without[:, column] = np.nan
            try:
                rest = out_of_fold(without, labels, sources, quality)
            except ValueError:  # none is left that points to forgeries
                rest = np.zeros(len(labels))
            gain = paired_difference(AUC["auc"], labels, together, rest, clusters=list(sources))
            row |= {"added": gain.value, "added_low": gain.low, "added_high": gain.high}
        found[name] = {key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()}
    return found


def _compared(labels: np.ndarray, together: np.ndarray, screen: np.ndarray, clusters: np.ndarray) -> dict[str, float]:
    gain = paired_difference(AUC["auc"], labels, together, screen, clusters=list(clusters))
    low, high = bootstrap_intervals(AUC, labels, together, clusters=list(clusters))["auc"]
    found = {
        "together": float(roc_auc(labels, together)),
        "together_low": low,
        "together_high": high,
        "screen": float(roc_auc(labels, screen)),
        "gain": gain.value,
        "gain_low": gain.low,
        "gain_high": gain.high,
    }
    return {key: round(value, 4) for key, value in found.items()}


def _counts(labels: np.ndarray, sources: np.ndarray) -> dict[str, int]:
    return {
        "authentic": int((labels == 0).sum()),
        "forged": int((labels == 1).sum()),
        "sources": int(np.unique(sources).size),
    }


def _arrays(items: Sequence[Item]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.array([item.scores for item in items], np.float64),
        np.array([item.label for item in items]),
        np.array([item.source for item in items]),
    )


def _log_odds(probability: float) -> float:
    inside = min(max(probability, EXTREME), 1 - EXTREME)
    return float(np.log(inside) - np.log1p(-inside))
