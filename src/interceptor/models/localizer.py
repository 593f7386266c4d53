"""The standard localizer: a light decoder over the foundation's tokens that paints where a picture was altered.

The foundation sees a picture of 448 x 448 as 28 x 28 tokens. Those of five depths are projected to one width and summed
as in a feature pyramid (Lin et al., CVPR 2017), compared with the picture's own mean (an alteration is what differs
from the rest), refined, weighed by an attention gate and enlarged. Members of an ensemble share the tokens.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn
from torch.nn import functional as F

from interceptor.models.foundation import WIDTH

DEPTHS = (1, 3, 5, 7, 9)
"""Blocks (counted from 0) after which tokens are read: after blocks 2, 4, 6, 8 and 10."""
SIDE = 448
"""Pixels a side of the picture that the foundation sees."""
CELLS = 28
"""Tokens a side."""
MAP = 112
"""Side of the map that comes out."""
CHANNELS = 64
FINE = 32
GateAt = Literal["features", "logits", "none"]
"""What the attention gate weighs."""
RARE = -3.0
"""The logit before anything is learned: few cells are altered (Lin et al., ICCV 2017)."""


def position_embedding(embedding: Tensor) -> Tensor:
    """The foundation's position embedding `[1, 197, 768]` for 28 x 28 tokens, `[1, 785, 768]`, by bicubic
    interpolation; the class token's stays.
    """
    return resample_abs_pos_embed(embedding.float(), [CELLS, CELLS], num_prefix_tokens=1)


class Gate(nn.Sequential):
    """Attention over places: `1x1, BN, ReLU, 3x3, BN, ReLU, 1x1, sigmoid`; a share 0..1 for each place of `[n, c, h,
    w]`.
    """

    def __init__(self, channels: int) -> None:
        half = channels // 2
        super().__init__(
            nn.Conv2d(channels, half, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(),
            nn.Conv2d(half, half, 3, padding=1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(),
            nn.Conv2d(half, 1, 1),
            nn.Sigmoid(),
        )


def refine(inputs: int, outputs: int) -> nn.Sequential:
    """`3x3, BN, ReLU`."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class LocalizerDecoder(nn.Module):
    """Tokens in, a map of logits out; above 0 leans altered.

    Tokens are standardised by `mean` and `std` `[5, 768]`, set from training data: a few of CLIP's channels are a
    hundred times larger than the rest. `gate` is for comparison; what ships gates the features.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor | None = None, std: Tensor | None = None, gate: GateAt = "features") -> None:
        super().__init__()
        if gate not in get_args(GateAt):
            raise ValueError(f"no gate {gate!r}; choose from {', '.join(get_args(GateAt))}")
        self.register_buffer("mean", torch.zeros(len(DEPTHS), WIDTH) if mean is None else mean.float())
        self.register_buffer("std", torch.ones(len(DEPTHS), WIDTH) if std is None else std.float())
        self.lateral = nn.ModuleList(nn.Linear(WIDTH, CHANNELS) for _ in DEPTHS)
        self.context = nn.Linear(CHANNELS, CHANNELS)
        self.dropout = nn.Dropout2d(0.1)
        self.coarse = refine(CHANNELS, CHANNELS)
        self.middle = refine(CHANNELS, CHANNELS)
        self.fine = refine(CHANNELS, FINE)
        self.gate = None if gate == "none" else Gate(FINE)
        self.gates_logits = gate == "logits"
        self.paint = nn.Conv2d(FINE, (MAP // CELLS // 2) ** 2, 1)
        nn.init.constant_(self.paint.bias, RARE)

    def forward(self, tokens: Tensor) -> Tensor:
        """`[n, 5, 784, 768]` to logits `[n, 112, 112]`; half precision will do under autocast."""
        centred = (tokens - self.mean[:, None].to(tokens.dtype)).unbind(1)
        # Dividing the weights by the spread costs less than dividing the tokens.
        weights = [lateral.weight / std for lateral, std in zip(self.lateral, self.std, strict=True)]
        sums = [F.linear(x, w, part.bias) for x, w, part in zip(centred, weights, self.lateral, strict=True)]
        x = torch.stack(sums).sum(0)
        x = x - self.context(x.mean(1, keepdim=True))
        x = self.dropout(x.transpose(1, 2).unflatten(2, (CELLS, CELLS)))
        x = self.middle(self.coarse(x)) + x
        x = self.fine(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))
        weight = 1 if self.gate is None else self.gate(x)
        x = self.paint(x) * weight if self.gates_logits else self.paint(x * weight)
        return F.pixel_shuffle(x, MAP // CELLS // 2)[:, 0]
