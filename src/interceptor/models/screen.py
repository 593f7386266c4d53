"""The screen: a linear read-out of the foundation's tokens, one score for each kind of evidence.

The read-out is linear in the patch tokens of each band of the face, so each patch's share of a crop's logit is exact,
not an attribution.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from interceptor.models.foundation import GRID, TAPS, WIDTH, Foundation

BANDS = (slice(0, 4), slice(4, 10), slice(10, 14))
"""Rows of patches whose means are read apart: brows and eyes, nose, mouth and chin. Crops are aligned, so a row of
patches shows the same part of every face.
"""
FEATURES = (len(BANDS) + 1) * len(TAPS) * WIDTH
"""Patch means of each band at the four depths, then the class tokens of the four depths."""


def pool(tokens: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Tokens of the foundation to features `float32[n, FEATURES]`."""
    grids = [patches.float().unflatten(1, (GRID, GRID)) for patches, _ in tokens]
    means = [grid[:, rows].mean((1, 2)) for rows in BANDS for grid in grids]
    return torch.cat([*means, *(token.float() for _, token in tokens)], 1)


class Readout(nn.Module):
    """A linear layer over standardised features; `mean` and `std` are those of the frozen features and stay fixed."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.float())
        self.register_buffer("std", std.float())
        self.linear = nn.Linear(mean.shape[0], 1)

    def forward(self, features: Tensor) -> Tensor:
        """`[n, FEATURES]` to logits `[n]`; above 0 leans forged."""
        return self.linear((features - self.mean) / self.std)[:, 0]

    def folded(self) -> tuple[Tensor, Tensor]:
        """The same read-out over plain features: weight `[FEATURES]` and bias (a scalar)."""
        weight = self.linear.weight[0] / self.std
        return weight, self.linear.bias[0] - (weight * self.mean).sum()


class Screen(nn.Module):
    """Foundation and read-out: crops in, logits out."""

    def __init__(self, foundation: Foundation, readout: Readout) -> None:
        super().__init__()
        self.foundation = foundation
        self.readout = readout

    def forward(self, images: Tensor) -> Tensor:
        """`uint8[n, 3, 224, 224]` RGB to logits `float32[n]`."""
        return self.readout(pool(self.foundation(images)))

    def heat(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `[n]` and each patch's exact share `[n, 14, 14]`: the shares' mean plus the class tokens' part is
        the logit.
        """
        tokens = self.foundation(images)
        weight, bias = self.readout.folded()
        *bands, classes = weight.view(len(BANDS) + 1, len(TAPS), WIDTH)
        constant = bias + sum(token.float() @ w for (_, token), w in zip(tokens, classes, strict=True))
        shares = images.new_zeros(len(images), GRID, GRID, dtype=torch.float32)
        for rows, weights in zip(BANDS, bands, strict=True):
            count = rows.stop - rows.start
            for (patches, _), w in zip(tokens, weights, strict=True):
                # A band's mean is over fewer patches than the crop's: its patches' shares weigh more.
                shares[:, rows] += patches.float().unflatten(1, (GRID, GRID))[:, rows] @ w * (GRID / count)
        return shares.mean((1, 2)) + constant, shares

    def tuned(self) -> dict[str, Tensor]:
        """What training changed, ready to be stored: norms, biases, and the folded read-out."""
        state = {name: parameter.detach().float().clone() for name, parameter in self.foundation.tunable().items()}
        state["readout.weight"], bias = (part.detach().clone() for part in self.readout.folded())
        state["readout.bias"] = bias.reshape(1)
        return state
