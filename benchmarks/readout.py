"""How to read the frozen foundation: which tokens, which depths, whole face or bands; AUC by crop on validation.

    python benchmarks/readout.py --init FILE --data DIR --data DIR [--features DIR] [--strength .003]

Every read-out is a logistic regression on the same training crops. Features are kept in `--features`: those of a
training run (its folder `features`) are not computed again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from interceptor.datasets.crops import Crop, read_index
from interceptor.metrics.classification import roc_auc
from interceptor.models.foundation import GRID, TAPS, WIDTH
from interceptor.models.screen import BANDS
from interceptor.training.export import load_base
from interceptor.training.features import balanced_weights, fit_readout, foundation_network, frozen_features

ROWS = torch.tensor([band.stop - band.start for band in BANDS]) / GRID


def choices(features: torch.Tensor) -> dict[str, torch.Tensor]:
    """The columns of each read-out, out of features [n, (bands + 1) * depths * width]."""
    parts = features.view(len(features), len(BANDS) + 1, len(TAPS), WIDTH)
    bands, classes = parts[:, :-1], parts[:, -1]
    means = (bands * ROWS.view(1, -1, 1, 1)).sum(1)
    late = slice(len(TAPS) - 2, None)
    return {
        "patch means": means.flatten(1),
        "class tokens": classes.flatten(1),
        "both": torch.stack([means, classes], 1).flatten(1),
        "both, the last two depths": torch.stack([means, classes], 1)[:, :, late].flatten(1),
        "patch means in three bands": bands.flatten(1),
        "bands and class tokens (ships)": features,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--init", type=Path, required=True)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--features", type=Path, default=Path("runs/readout"))
    parser.add_argument("--strength", type=float, default=0.003, help="scikit-learn's C")
    arguments = parser.parse_args()
    network = foundation_network(load_base(arguments.init), arguments.features)

    def read(split: str) -> tuple[list[Crop], torch.Tensor]:
        sets = []
        for path in arguments.data:
            crops = read_index(path, split)
            sets.append([crops[i] for i in np.random.default_rng(1).permutation(len(crops))])
        found = [frozen_features(network, crops, arguments.features, lambda count: None) for crops in sets]
        return [crop for crops in sets for crop in crops], torch.cat(found)

    (train, x), (val, x_val) = read("train"), read("val")
    labels, weights = np.array([crop.label for crop in train]), balanced_weights(train)
    truth, sets = np.array([crop.label for crop in val]), np.array([crop.dataset for crop in val])
    judged = [name for name in dict.fromkeys(sets.tolist()) if len(set(truth[sets == name])) == 2]
    print(f"| read-out | {' | '.join(f'{name} AUC' for name in judged)} |\n|---|{'---|' * len(judged)}")
    fitted, measured = choices(x), choices(x_val)
    for name, columns in fitted.items():
        readout = fit_readout(columns, labels, weights, arguments.strength)
        with torch.no_grad():
            logits = readout(measured[name]).numpy()
        aucs = [f"{roc_auc(truth[sets == one], logits[sets == one]):.3f}" for one in judged]
        print(f"| {name} | {' | '.join(aucs)} |", flush=True)


if __name__ == "__main__":
    main()
