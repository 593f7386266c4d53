"""Frozen features of crops, kept on disk, and the read-out fitted to them: the warm start."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from interceptor.datasets.crops import Crop, read_crop
from interceptor.models.foundation import Foundation
from interceptor.models.screen import FEATURES, Readout, pool
from interceptor.training.checkpoints import read_tensors, write_tensors

CHUNK = 256


def images(crops: Sequence[Crop]) -> torch.Tensor:
    """`uint8[n, 3, 224, 224]` RGB."""
    return torch.from_numpy(np.stack([read_crop(crop.path)[0] for crop in crops])).permute(0, 3, 1, 2)


@torch.no_grad()
def frozen_features(
    foundation: Foundation, crops: Sequence[Crop], folder: Path, advance: Callable[[int], None], batch: int = 32
) -> torch.Tensor:
    """Features `float32[n, FEATURES]` of the untuned foundation; chunks already in `folder` are not computed again."""
    foundation.eval()
    device = next(foundation.parameters()).device
    parts = []
    for start in range(0, len(crops), CHUNK):
        chunk = crops[start : start + CHUNK]
        name = hashlib.sha256("\n".join(str(crop.path) for crop in chunk).encode()).hexdigest()[:16]
        file = folder / f"{name}.safetensors"
        if not file.is_file():
            rows = []
            for i in range(0, len(chunk), batch):
                with torch.autocast(device.type, torch.bfloat16):
                    rows.append(pool(foundation(images(chunk[i : i + batch]).to(device))).cpu())
            write_tensors(file, {"features": torch.cat(rows).half()})
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
    """A weight for each crop: classes weigh the same within a data set, data sets as the fourth root of their sizes.
    Mean 1.
    """
    sets = np.array([crop.dataset for crop in crops])
    labels = np.array([crop.label for crop in crops])
    weights = np.zeros(len(crops))
    for name in np.unique(sets):
        members = sets == name
        for label in (0, 1):
            group = members & (labels == label)
            if group.any():
                weights[group] = members.sum() ** 0.25 / group.sum()
    return weights * len(crops) / weights.sum()
