"""A specialist: a backbone that sees the face as everyone does, a module that sees it through its lens, one verdict."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from interceptor.models.backbones import Backbone
from interceptor.models.branches import GRID, ModuleSpec, SpecialistModule

HEADS = 8
HIDDEN = (1024, 512, 256)
CLASSES = 2
TOKEN_WIDTH = 256
DROPOUT = (0.3, 0.2, 0.1)
ATTENTION_DROPOUT = 0.1

Fusion = Literal["vector", "tokens"]


def padded_width(backbone_width: int, spec: ModuleSpec) -> int:
    """Width of the vector fusion: backbone and module features, up to the next multiple of the attention's heads."""
    return _padded(backbone_width + spec.features)


def _padded(width: int) -> int:
    return -(-width // HEADS) * HEADS


class VectorFusion(nn.Module):
    """Backbone vector and flattened module features, projected, through self-attention over that single token.

    Over one token softmax is 1: the attention is its value and output projections, which export folds away.
    """

    def __init__(self, backbone_width: int, channels: int) -> None:
        super().__init__()
        features = channels * GRID**2
        self.width = _padded(backbone_width + features)
        self.projection = nn.Linear(backbone_width + features, self.width)
        self.attention = nn.MultiheadAttention(self.width, HEADS, dropout=ATTENTION_DROPOUT, batch_first=True)

    def forward(self, tokens: Tensor, pooled: Tensor, features: Tensor) -> Tensor:
        token = self.projection(torch.cat([pooled, features.flatten(1)], 1))[:, None]
        return self.attention(token, token, token, need_weights=False)[0][:, 0]


class TokenFusion(nn.Module):
    """At each of the 49 places the backbone's token and the module's features, then self-attention between places, then
    their sum with a learned weight of each place and channel, at first the mean.

    The weights tell where in the lens something is: attention with a small position embedding alone did not learn it,
    and for a lens whose rows are lags that is all there is to learn.

    Backbone tokens are standardised by `mean` and `std` (set from training data: a few channels of a transformer's
    tokens are a hundred times larger than the rest).
    """

    width = TOKEN_WIDTH

    def __init__(self, backbone_width: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(backbone_width))
        self.register_buffer("std", torch.ones(backbone_width))
        self.tokens = nn.Linear(backbone_width, TOKEN_WIDTH)
        self.features = nn.Linear(channels, TOKEN_WIDTH, bias=False)
        self.position = nn.Parameter(torch.randn(GRID * GRID, TOKEN_WIDTH) * 0.02)
        self.norm = nn.LayerNorm(TOKEN_WIDTH)
        self.attention = nn.MultiheadAttention(TOKEN_WIDTH, HEADS, dropout=ATTENTION_DROPOUT, batch_first=True)
        self.place = nn.Parameter(torch.full((GRID * GRID, TOKEN_WIDTH), 1 / GRID**2))

    def forward(self, tokens: Tensor, pooled: Tensor, features: Tensor) -> Tensor:
        x = self.tokens((tokens - self.mean) / self.std) + self.features(features.flatten(2).transpose(1, 2))
        y = self.norm(x + self.position)
        return ((x + self.attention(y, y, y, need_weights=False)[0]) * self.place).sum(1)


FUSIONS: dict[str, type[VectorFusion] | type[TokenFusion]] = {"vector": VectorFusion, "tokens": TokenFusion}


def classifier(
    width: int, dropout: tuple[float, float, float] = DROPOUT, hidden: tuple[int, int, int] = HIDDEN
) -> nn.Sequential:
    """`width-1024-512-256-2` (or other `hidden` widths) with batch norm, ReLU and dropout."""
    layers: list[nn.Module] = []
    for inputs, outputs, rate in zip((width, *hidden), hidden, dropout, strict=False):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(rate)]
    return nn.Sequential(*layers, nn.Linear(hidden[-1], CLASSES))


class SpecialistHead(nn.Module):
    """Everything of a specialist but its backbone: what is trained on cached tokens."""

    def __init__(
        self,
        spec: ModuleSpec,
        backbone_width: int,
        fusion: Fusion = "tokens",
        dropout: tuple[float, float, float] = DROPOUT,
        hidden: tuple[int, int, int] = HIDDEN,
        beside: int = 0,
    ) -> None:
        """`beside`: channels of features that are fused beside the module's."""
        super().__init__()
        if fusion not in FUSIONS:
            raise ValueError(f"{fusion!r} is no fusion; choose from {', '.join(FUSIONS)}")
        self.spec = spec
        self.module = SpecialistModule(spec)
        self.fusion = FUSIONS[fusion](backbone_width, spec.channels + beside)
        self.classifier = classifier(self.fusion.width, dropout, hidden)

    def forward(self, tokens: Tensor, pooled: Tensor, lens: Tensor) -> Tensor:
        """Tokens `[n, 49, w]`, their pooled vector `[n, w]` and the lens `float32[n, 3, h, w]` to logits `[n, 2]`
        (authentic, forged).
        """
        return self.classifier(self.fusion(tokens, pooled, self.module(lens)))


class SpecialistModel(nn.Module):
    """Backbone and head: crops `uint8[n, 3, 224, 224]` RGB and lens `float32[n, 3, h, w]` to logits `[n, 2]`
    (authentic, forged).
    """

    def __init__(
        self,
        spec: ModuleSpec,
        backbone: Backbone,
        fusion: Fusion = "vector",
        dropout: tuple[float, float, float] = DROPOUT,
    ) -> None:
        super().__init__()
        self.model_type = spec.model_type
        self.backbone = backbone
        self.head = SpecialistHead(spec, backbone.width, fusion, dropout)

    def forward(self, images: Tensor, lens: Tensor) -> Tensor:
        tokens, pooled = self.backbone(images)
        return self.head(tokens, pooled, lens)
