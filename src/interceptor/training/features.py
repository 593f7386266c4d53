"""Frozen features of crops, kept on disk, and the read-out fitted to them: the warm start."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from interceptor.datasets.crops import Crop, read_crop
from interceptor.models.foundation import GRID
from interceptor.models.screen import BANDS, FEATURES, Readout
from interceptor.runtime.network import Network
from interceptor.training.checkpoints import read_tensors, write_tensors
from interceptor.training.export import export_screen

CHUNK = 256
BATCH = 32


def images(crops: Sequence[Crop]) -> torch.Tensor:
    """`uint8[n, 3, 224, 224]` RGB."""
    return torch.from_numpy(np.stack([read_crop(crop.path)[0] for crop in crops])).permute(0, 3, 1, 2)


def foundation_network(base: dict[str, torch.Tensor], folder: Path) -> Network:
    """The untuned foundation on the inference runtime, outputs `tokens` and `classes`; its files are put into `folder`.

    Features that ship are made with 8-bit arithmetic, so features to fit on are, too.
    """
    blank = {"readout.weight": torch.zeros(FEATURES), "readout.bias": torch.zeros(1)}
    _, file = export_screen(base, blank, folder)
    return Network(file, outputs=("tokens", "classes"), precision_hint="f32")


def features(tokens: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """What `models.screen.pool` gives, out of pooled tokens [n, 49, 3072] and class tokens [n, 3072]."""
    half = GRID // 2
    grid = tokens.reshape(len(tokens), half, half, -1)
    means = [grid[:, rows.start // 2 : rows.stop // 2].mean((1, 2)) for rows in BANDS]
    return np.concatenate([*means, classes], 1)


def frozen_features(
    network: Network, crops: Sequence[Crop], folder: Path, advance: Callable[[int], None]
) -> torch.Tensor:
    """Features `float32[n, FEATURES]` of crops; chunks already in `folder` are not computed again."""
    parts = []
    for start in range(0, len(crops), CHUNK):
        chunk = crops[start : start + CHUNK]
        name = hashlib.sha256("\n".join(str(crop.path) for crop in chunk).encode()).hexdigest()[:16]
        file = folder / f"{name}.safetensors"
        if not file.is_file():
            rows = []
            for i in range(0, len(chunk), BATCH):
                pictures = np.stack([read_crop(crop.path)[0] for crop in chunk[i : i + BATCH]])
                rows.append(features(*network(pictures)))
            write_tensors(file, {"features": torch.from_numpy(np.concatenate(rows)).half()})
        parts.append(read_tensors(file)["features"].float())
        advance(len(chunk))
    return torch.cat(parts) if parts else torch.empty(0, FEATURES)


def fit_readout(features: torch.Tensor, labels: np.ndarray, weights: np.ndarray, strength: float) -> Readout:
    """Logistic regression on standardised features; `strength` is scikit-learn's C (smaller is smoother)."""
    mean, std = features.mean(0), features.std(0).clamp_min(1e-6)
    model = LogisticRegression(C=strength, max_iter=400)
    model.fit(((features - mean) / std).numpy(), labels, sample_weight=weights)
    readout = Readout(mean, std)
    with torch.no_grad():
        readout.linear.weight.copy_(torch.from_numpy(model.coef_))
        readout.linear.bias.copy_(torch.from_numpy(model.intercept_))
    return readout


def balanced_weights(crops: Sequence[Crop]) -> np.ndarray:
    """A weight for each crop, mean 1: data sets weigh the same whatever their sizes, one of authentic faces alone half
    as much, and within a data set the classes weigh the same.
    """
    sets = np.array([crop.dataset for crop in crops])
    labels = np.array([crop.label for crop in crops])
    weights = np.zeros(len(crops))
    for name in np.unique(sets):
        for label in (0, 1):
            group = (sets == name) & (labels == label)
            if group.any():
                weights[group] = 1 / group.sum()
    return weights * len(crops) / weights.sum()
