"""A specialist: a backbone that sees the face as everyone does, a module that sees it through its lens, one verdict."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from interceptor.models import lags
from interceptor.models.backbones import Backbone
from interceptor.models.branches import GRID, ModuleSpec, SpecialistModule

HEADS = 8
HIDDEN = (1024, 512, 256)
SMALL_HIDDEN = (512, 256, 128)
"""The classifier of a standard specialist, six of which ship together."""
CLASSES = 2
TOKEN_WIDTH = 256
DROPOUT = (0.3, 0.2, 0.1)
ATTENTION_DROPOUT = 0.1

Fusion = Literal["vector", "tokens"]


def padded_width(backbone_width: int, spec: ModuleSpec) -> int:
    """Width of the vector fusion: backbone and module features, up to the next multiple of the attention's heads."""
    return -(-(backbone_width + spec.features) // HEADS) * HEADS


class VectorFusion(nn.Module):
    """Backbone vector and flattened module features, projected, through self-attention over that single token.

    Over one token softmax is 1: the attention is its value and output projections, which export folds away.
    """

    def __init__(self, backbone_width: int, spec: ModuleSpec) -> None:
        super().__init__()
        self.width = padded_width(backbone_width, spec)
        self.projection = nn.Linear(backbone_width + spec.features, self.width)
        self.attention = nn.MultiheadAttention(self.width, HEADS, dropout=ATTENTION_DROPOUT, batch_first=True)

    def forward(self, tokens: Tensor, pooled: Tensor, features: Tensor) -> Tensor:
        token = self.projection(torch.cat([pooled, features.flatten(1)], 1))[:, None]
        return self.attention(token, token, token, need_weights=False)[0][:, 0]


class TokenFusion(nn.Module):
    """At each of the 49 places the backbone's token and the module's features, then self-attention between places, then
    their sum with a learned weight of each place and channel, at first the mean.

    The weights tell where in the lens something is: attention with a small position embedding alone did not learn it,
    and for a lens whose rows are lags that is all there is to learn. Heads that were stored without them had the mean.

    Backbone tokens are standardised by `mean` and `std` (set from training data: a few channels of a transformer's
    tokens are a hundred times larger than the rest).
    """

    mean: Tensor
    std: Tensor
    width = TOKEN_WIDTH

    def __init__(self, backbone_width: int, spec: ModuleSpec) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(backbone_width))
        self.register_buffer("std", torch.ones(backbone_width))
        self.tokens = nn.Linear(backbone_width, TOKEN_WIDTH)
        self.features = nn.Linear(spec.channels, TOKEN_WIDTH, bias=False)
        self.position = nn.Parameter(torch.randn(GRID * GRID, TOKEN_WIDTH) * 0.02)
        self.norm = nn.LayerNorm(TOKEN_WIDTH)
        self.attention = nn.MultiheadAttention(TOKEN_WIDTH, HEADS, dropout=ATTENTION_DROPOUT, batch_first=True)
        self.place = nn.Parameter(torch.full((GRID * GRID, TOKEN_WIDTH), 1 / GRID**2))
        self.register_load_state_dict_pre_hook(_mean_over_places)

    def forward(self, tokens: Tensor, pooled: Tensor, features: Tensor) -> Tensor:
        x = self.tokens((tokens - self.mean) / self.std) + self.features(features.flatten(2).transpose(1, 2))
        y = self.norm(x + self.position)
        return ((x + self.attention(y, y, y, need_weights=False)[0]) * self.place).sum(1)


def _mean_over_places(fusion: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Give a stored head that has no weights of places those of the mean."""
    state.setdefault(f"{prefix}place", torch.full((GRID * GRID, TOKEN_WIDTH), 1 / GRID**2))


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
    ) -> None:
        super().__init__()
        if fusion not in FUSIONS:
            raise ValueError(f"{fusion!r} is no fusion; choose from {', '.join(FUSIONS)}")
        self.spec = spec
        self.module = SpecialistModule(spec)
        self.fusion = FUSIONS[fusion](backbone_width, spec)
        self.classifier = classifier(self.fusion.width, dropout, hidden)

    def forward(self, tokens: Tensor, pooled: Tensor, lens: Tensor) -> Tensor:
        """Tokens `[n, 49, w]`, their pooled vector `[n, w]` and the lens `float32[n, 3, h, w]` to logits `[n, 2]`
        (authentic, forged).
        """
        return self.classifier(self.fusion(tokens, pooled, self.features(tokens, lens)))

    def features(self, tokens: Tensor, lens: Tensor) -> Tensor:
        """What the module makes of the lens, `[n, channels, 7, 7]`."""
        return self.module(lens)


class StandardHead(SpecialistHead):
    """The head of a standard specialist: beside the fusion of tokens, a linear read-out of one vector.

    The read-out is fitted in closed form and then stays (`training/specialists/readout.py`). The network beside it
    starts at 0 and is trained by itself: what a read-out says of the faces it was fitted on is too good to be added to.
    """

    readout: Tensor
    offset: Tensor

    def __init__(self, spec: ModuleSpec, backbone_width: int) -> None:
        super().__init__(spec, backbone_width, "tokens", hidden=SMALL_HIDDEN)
        self.register_buffer("readout", torch.zeros(lags.WIDTH if self.reads_lags else backbone_width))
        self.register_buffer("offset", torch.zeros(()))
        for parameter in self.classifier[-1].parameters():
            nn.init.zeros_(parameter)

    @property
    def reads_lags(self) -> bool:
        """The audio-visual head's read-out reads its lens, `lags.lag_view`: a picture does not tell what is heard."""
        return self.spec.code == "av"

    def view(self, pooled: Tensor, lens: Tensor) -> Tensor:
        """What the read-out reads, `[n, len(readout)]`: the mean token, or of lenses their lags."""
        return lags.lag_view(lens) if self.reads_lags else pooled

    @property
    def scale(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation by which that is standardised; lags stay as they are."""
        if self.reads_lags:
            return torch.zeros_like(self.readout), torch.ones_like(self.readout)
        return self.fusion.mean, self.fusion.std

    def forward(self, tokens: Tensor, pooled: Tensor, lens: Tensor) -> Tensor:
        """As the network's; `pooled` is the mean of the tokens."""
        mean, std = self.scale
        said = ((self.view(pooled, lens) - mean) / std * self.readout).sum(1) + self.offset
        return self.network(tokens, pooled, lens) + torch.stack([-said, said], 1) / 2

    def network(self, tokens: Tensor, pooled: Tensor, lens: Tensor) -> Tensor:
        """The logits without the read-out."""
        return super().forward(tokens, pooled, lens)


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
        return self.head(*self.backbone(images), lens)
