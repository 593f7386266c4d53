"""How to read the frozen foundation: which tokens, which depths, whole face or bands; AUC by crop on validation.

    python benchmarks/readout.py --init FILE --data DIR --data DIR [--test DIR] [--features DIR] [--self-blended N]

Every read-out is a logistic regression on the same training crops; the last row adds `N` self-blended pairs made of
authentic training crops. `--test` names sets to measure on only. Features are kept in `--features`: those of a training
run (its folder `features`) are not computed again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from interceptor.datasets.crops import Crop, read_crop, read_index
from interceptor.forges.self_blend import self_blend
from interceptor.media.crops import CROP_SIZE, TEMPLATE
from interceptor.metrics.classification import roc_auc
from interceptor.models.foundation import GRID, TAPS, WIDTH
from interceptor.models.screen import BANDS
from interceptor.runtime.network import Network
from interceptor.training.export import load_base
from interceptor.training.features import (
    BATCH,
    balanced_weights,
    features,
    fit_readout,
    foundation_network,
    frozen_features,
)

ROWS = torch.tensor([band.stop - band.start for band in BANDS]) / GRID


def choices(found: torch.Tensor) -> dict[str, torch.Tensor]:
    """The columns of each read-out, out of features float32[n, (bands + 1) * depths * width]."""
    parts = found.view(len(found), len(BANDS) + 1, len(TAPS), WIDTH)
    bands, classes = parts[:, :-1], parts[:, -1]
    means = (bands * ROWS.view(1, -1, 1, 1)).sum(1)
    late = slice(len(TAPS) - 2, None)
    return {
        "patch means": means.flatten(1),
        "class tokens": classes.flatten(1),
        "both": torch.stack([means, classes], 1).flatten(1),
        "both, the last two depths": torch.stack([means, classes], 1)[:, :, late].flatten(1),
        "patch means in three bands": bands.flatten(1),
        "bands and class tokens (ships)": found,
    }


def self_blended(authentic: list[Crop], count: int, network: Network) -> torch.Tensor:
    """Features of `count` self-blended pairs, each of another authentic crop: real, fake, real, fake, ..."""
    rng = np.random.default_rng(1)
    chosen = [authentic[i] for i in rng.permutation(len(authentic))[:count]]
    rows = []
    for i in range(0, len(chosen), BATCH):
        pairs = [self_blend(read_crop(crop.path)[0], TEMPLATE * CROP_SIZE, rng) for crop in chosen[i : i + BATCH]]
        pictures = np.stack([picture for pair in pairs for picture in (pair.real, pair.fake)])
        rows.append(torch.from_numpy(features(*network(pictures))))
    return torch.cat(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--init", type=Path, required=True)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--test", type=Path, action="append", default=[])
    parser.add_argument("--self-blended", type=int, default=0)
    parser.add_argument("--features", type=Path, default=Path("runs/readout"))
    parser.add_argument("--strength", type=float, default=0.003, help="scikit-learn's C")
    arguments = parser.parse_args()
    network = foundation_network(load_base(arguments.init), arguments.features)

    def read(paths: list[Path], split: str) -> tuple[list[Crop], torch.Tensor]:
        sets = []
        for path in paths:
            crops = read_index(path, split)
            sets.append([crops[i] for i in np.random.default_rng(1).permutation(len(crops))])
        found = [frozen_features(network, crops, arguments.features, lambda count: None) for crops in sets]
        return [crop for crops in sets for crop in crops], torch.cat(found)

    (train, x), (val, x_val) = read(arguments.data, "train"), read([*arguments.data, *arguments.test], "val")
    labels, weights = np.array([crop.label for crop in train]), balanced_weights(train)
    truth, sets = np.array([crop.label for crop in val]), np.array([crop.dataset for crop in val])
    judged = [name for name in dict.fromkeys(sets.tolist()) if len(set(truth[sets == name])) == 2]
    print(f"| read-out | {' | '.join(f'{name} AUC' for name in judged)} |\n|---|{'---|' * len(judged)}")

    def row(name: str, columns: torch.Tensor, known: np.ndarray, weight: np.ndarray, tested: torch.Tensor) -> None:
        readout = fit_readout(columns, known, weight, arguments.strength)
        with torch.no_grad():
            logits = readout(tested).numpy()
        aucs = [f"{roc_auc(truth[sets == one], logits[sets == one]):.3f}" for one in judged]
        print(f"| {name} | {' | '.join(aucs)} |", flush=True)

    measured = choices(x_val)
    for name, columns in choices(x).items():
        row(name, columns, labels, weights, measured[name])
    if arguments.self_blended:
        extra = self_blended([crop for crop in train if crop.label == 0], arguments.self_blended, network)
        share = 0.25 * weights.sum() / len(extra)  # a quarter of all that the collected crops weigh
        row(
            f"and {arguments.self_blended} self-blended pairs",
            torch.cat([x, extra]),
            np.append(labels, np.arange(len(extra)) % 2),
            np.append(weights, np.full(len(extra), share)),
            x_val,
        )


if __name__ == "__main__":
    main()
