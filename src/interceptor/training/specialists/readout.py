"""The linear read-out of a standard specialist, fitted in closed form before its network is trained.

A few hundred forged faces say little about what the base makes of all other faces: a network that starts from nothing
learns their content by heart, and scores of new faces differ by whose they are more than by what was done to them. So
the mean token is read first, by a ridge regression that is also asked to be 0 on authentic faces of every task, whose
differences are nothing but content. The audio-visual head, whose pairs have equal tokens, reads its lens likewise
(`models/lags.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from interceptor.datasets.splits import group_of
from interceptor.metrics.calibration import fit_platt
from interceptor.metrics.classification import roc_auc
from interceptor.models.standard import StandardHead
from interceptor.training.checkpoints import CheckpointError

PENALTIES = (0.1, 0.3, 1.0, 3.0)
"""Strengths of the ridge to choose from, in units of a sample's mean squared length."""
LAG_PENALTIES = (1.0, 10.0, 100.0, 300.0, 1000.0, 3000.0)
"""The same for lags, of which a few describe thousands of samples."""
FOLDS = 5


@dataclass(frozen=True)
class Faces:
    """What the read-out is given of faces, and whose they are."""

    vectors: np.ndarray
    """float32[n, width]: their mean tokens, or of an audio-visual head their lags (`StandardHead.view`)"""
    groups: np.ndarray
    """str[n]: person or medium (`datasets.splits.group_of`)"""


def read_faces(data: Path) -> Faces:
    """The authentic faces of all training pairs that `prepare specialists` stored."""
    parts, groups = [], []
    for file in sorted((data / "train").glob("*.safetensors")):
        with safe_open(file, "pt") as stored:
            rows = [stored.get_tensor(name)[:, 0] for name in stored.keys() if name.endswith(".rows")]  # noqa: SIM118
            if rows:
                found = stored.get_tensor("tokens")[torch.cat(rows).long().unique()].float().mean(1).numpy()
                parts.append(found)
                groups += [group_of(Path(file.stem))] * len(found)
    if not parts:
        raise CheckpointError(f"{data / 'train'}: no faces; prepare them first")
    return Faces(np.concatenate(parts), np.array(groups))


def fit_readout(head: StandardHead, pairs: Faces, others: Faces) -> dict[str, float]:
    """Set the read-out of `head` from `pairs`, authentic and forged in turn, and authentic faces of all kinds.

    The penalty is the one with the best AUC on held-out groups, and the scale is that of log-odds there; a read-out
    that does not point to forgeries on them is left at 0. Returns both figures. Raises `CheckpointError` for pairs of
    fewer than five groups.
    """
    rng = np.random.default_rng(0)
    names = rng.permutation(np.unique(pairs.groups))
    if len(names) < FOLDS:
        raise CheckpointError(f"pairs of {len(names)} media: a read-out takes {FOLDS}; prepare more")
    mean, std = (part.numpy() for part in head.scale)
    own, content = (pairs.vectors - mean) / std, (others.vectors - mean) / std
    spread = content.std(0).clip(1e-3)
    own, content = own / spread, content / spread
    labels = np.tile([0, 1], len(own) // 2)
    penalties = LAG_PENALTIES if head.reads_lags else PENALTIES
    held_out = np.empty((len(penalties), len(own)))
    for fold in range(FOLDS):
        left_out = names[fold::FOLDS]
        mine, theirs = np.isin(pairs.groups, left_out), np.isin(others.groups, left_out)
        for scores, (weight, offset) in zip(
            held_out, _ridges(own[~mine], labels[~mine], content[~theirs], penalties), strict=True
        ):
            scores[mine] = own[mine] @ weight + offset
    aucs = [roc_auc(labels, scores) for scores in held_out]
    best = int(np.argmax(aucs))
    slope = max(0.0, fit_platt(held_out[best], labels).slope)
    weight, offset = _ridges(own, labels, content, penalties)[best]
    head.readout.copy_(torch.from_numpy(slope * weight / spread))
    head.offset.fill_(slope * offset)
    return {"penalty": penalties[best], "auc_held_out": round(aucs[best], 4), "faces": len(content)}


def _ridges(
    own: np.ndarray, labels: np.ndarray, content: np.ndarray, penalties: tuple[float, ...]
) -> list[tuple[np.ndarray, float]]:
    """Weight and offset for each penalty: -1 and 1 on the pairs, the same on all authentic faces."""
    middle = own.mean(0)
    rows = np.concatenate([own - middle, content - content.mean(0)]).astype(np.float64)
    targets = np.concatenate([2.0 * labels - 1, np.zeros(len(content))])
    size = (rows**2).sum(1).mean()
    wide = rows.shape[1] > len(rows)  # the same weights either way; the smaller system is solved
    gram = rows @ rows.T if wide else rows.T @ rows
    found = []
    for penalty in penalties:
        system = gram + penalty * size * np.eye(len(gram))
        weight = rows.T @ np.linalg.solve(system, targets) if wide else np.linalg.solve(system, rows.T @ targets)
        found.append((weight, float(-middle @ weight)))
    return found
