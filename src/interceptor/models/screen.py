"""The screen: a linear read-out of the foundation's tokens, one score for each kind of evidence.

The read-out is linear in the patch tokens, so each patch's share of a crop's logit is exact, not an attribution.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from interceptor.models.foundation import TAPS, WIDTH, Foundation

FEATURES = len(TAPS) * 2 * WIDTH
"""Patch means of the four depths, then class tokens of the four depths."""


def pool(tokens: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Tokens of the foundation to features `float32[n, FEATURES]`."""
    means = [patches.float().mean(1) for patches, _ in tokens]
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
        patch_weights, class_weights = weight.view(2, len(TAPS), WIDTH)
        shares = sum(
            (patches.float() @ w for (patches, _), w in zip(tokens, patch_weights, strict=True)), torch.zeros(())
        )
        constant = bias + sum(token.float() @ w for (_, token), w in zip(tokens, class_weights, strict=True))
        side = int(shares.shape[1] ** 0.5)
        return shares.mean(1) + constant, shares.view(-1, side, side)

    def tuned(self) -> dict[str, Tensor]:
        """What training changed, ready to be stored: norms, biases, and the folded read-out."""
        state = {name: parameter.detach().float().clone() for name, parameter in self.foundation.tunable().items()}
        state["readout.weight"], bias = (part.detach().clone() for part in self.readout.folded())
        state["readout.bias"] = bias.reshape(1)
        return state
