"""How to read the frozen foundation: patch means, class tokens, depths, attention pooling; AUC on validation crops.

    python benchmarks/readout.py --init FILE --data DIR --data DIR [--train 1500] [--val 500]

Each read-out is fitted on the same crops: logistic regression for the means and class tokens, gradient descent for
attention pooling (one learned query over the patch tokens of the last depth, then a linear layer; Ilse et al., ICML
2018).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn

from interceptor.datasets.crops import Crop, read_index
from interceptor.metrics.classification import roc_auc
from interceptor.models.foundation import WIDTH, Foundation
from interceptor.models.screen import pool
from interceptor.training.export import load_base
from interceptor.training.features import balanced_weights, fit_readout, images

CHOICES = {
    "patch means, blocks 4-10": range(4),
    "class tokens, blocks 4-10": range(4, 8),
    "both": range(8),
    "both, blocks 8 and 10": (2, 3, 6, 7),
    "patch means, block 10": (3,),
}


class AttentionPooling(nn.Module):
    """Patch tokens [n, 196, 768] to logits [n]."""

    def __init__(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        super().__init__()
        self.mean, self.std = mean, std
        self.query, self.linear = nn.Linear(WIDTH, 1), nn.Linear(WIDTH, 1)
        nn.init.zeros_(self.query.weight)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = (tokens.float() - self.mean) / self.std
        return self.linear((x * self.query(x).softmax(1)).sum(1))[:, 0]


@torch.no_grad()
def features(foundation: Foundation, crops: list[Crop]) -> tuple[torch.Tensor, torch.Tensor]:
    """(pooled features [n, FEATURES], patch tokens of the last depth bfloat16[n, 196, 768])"""
    pooled, tokens = [], []
    for i in range(0, len(crops), 32):
        with torch.autocast("cpu", torch.bfloat16):
            taps = foundation(images(crops[i : i + 32]))
        pooled.append(pool(taps))
        tokens.append(taps[-1][0].bfloat16())
    return torch.cat(pooled), torch.cat(tokens)


def attention(train: torch.Tensor, labels: np.ndarray, weights: np.ndarray, val: torch.Tensor) -> np.ndarray:
    """Logits of a fitted attention pooling on `val`."""
    torch.manual_seed(0)
    some = train[:: max(1, len(train) // 200)].float()
    model = AttentionPooling(some.mean((0, 1)), some.std((0, 1)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    target, weight = torch.from_numpy(labels).float(), torch.from_numpy(weights).float()
    for _ in range(12):
        for batch in torch.randperm(len(train)).split(64):
            loss = nn.functional.binary_cross_entropy_with_logits(model(train[batch]), target[batch], weight[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return torch.cat([model(part) for part in val.split(64)]).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--init", type=Path, required=True)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--train", type=int, default=1500, help="crops of each set, at most")
    parser.add_argument("--val", type=int, default=500)
    arguments = parser.parse_args()
    foundation = Foundation(load_base(arguments.init)).half_matrices().eval()

    def choose(split: str, count: int) -> list[Crop]:
        chosen = []
        for path in arguments.data:
            crops = read_index(path, split)
            chosen += [crops[i] for i in sorted(np.random.default_rng(1).permutation(len(crops))[:count])]
        return chosen

    train, val = choose("train", arguments.train), choose("val", arguments.val)
    (x, tokens), (x_val, tokens_val) = features(foundation, train), features(foundation, val)
    labels, weights = np.array([crop.label for crop in train]), balanced_weights(train)
    sets = [path.resolve().name for path in arguments.data]
    print(f"| read-out | {' | '.join(f'{name} AUC' for name in sets)} |\n|---|{'---|' * len(sets)}")

    def row(name: str, logits: np.ndarray) -> None:
        aucs = []
        for dataset in sets:
            members = np.array([crop.dataset == dataset for crop in val])
            truth = np.array([crop.label for crop in val])[members]
            aucs.append(f"{roc_auc(truth, logits[members]):.3f}")
        print(f"| {name} | {' | '.join(aucs)} |", flush=True)

    for name, parts in CHOICES.items():
        columns = torch.cat([torch.arange(i * WIDTH, (i + 1) * WIDTH) for i in parts])
        readout = fit_readout(x[:, columns], labels, weights, 0.005)
        with torch.no_grad():
            row(name, readout(x_val[:, columns]).numpy())
    row("attention pooling, block 10", attention(tokens, labels, weights, tokens_val))


if __name__ == "__main__":
    main()
