"""Backbones as rows of a table: each turns a crop into a grid of tokens and one pooled vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import timm
import torch
from torch import Tensor, nn

from interceptor.models.branches import GRID
from interceptor.models.foundation import TAPS, WIDTH, Foundation

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
LITE = ((127 / 255,) * 3, (128 / 255,) * 3)
"""Mean and standard deviation of RGB (0..1) that the ImageNet weights expect."""


class Backbone(nn.Module):
    """`uint8[n, 3, 224, 224]` RGB to tokens `[n, 49, width]`, row by row, and a pooled vector `[n, width]`.

    Each has its `width`, not declared here: TorchScript cannot read such a line.
    """

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


class TimmBackbone(Backbone):
    """A convolutional network of timm: its last feature map is the grid, its mean the vector."""

    def __init__(self, name: str, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.network = timm.create_model(name, pretrained=False, num_classes=0, global_pool="")
        self.width = self.network.num_features
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.network((images.float() / 255 - self.mean) / self.std).flatten(2).transpose(1, 2)
        return tokens, tokens.mean(1)


class FoundationBackbone(Backbone):
    """The foundation: patch tokens of four depths side by side, pooled from 14 x 14 to 7 x 7."""

    width = WIDTH * len(TAPS)

    def __init__(self, base: dict[str, Tensor]) -> None:
        super().__init__()
        self.network = Foundation(base)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        tokens = torch.cat([patches for patches, _ in self.network(images)], 2)
        grid = tokens.unflatten(1, (GRID, 2, GRID, 2)).mean((2, 4)).flatten(1, 2)
        return grid, grid.mean(1)


@dataclass(frozen=True)
class BackboneSpec:
    """A row of the table."""

    name: str
    width: int
    start: str
    """what its weights are before training"""
    build: Callable[..., Backbone]


BACKBONES = {
    spec.name: spec
    for spec in (
        BackboneSpec("clip_vit_b16", FoundationBackbone.width, "CLIP (OpenAI), first ten blocks", FoundationBackbone),
        BackboneSpec(
            "efficientnet_b4",
            1792,
            "ImageNet",
            lambda: TimmBackbone("efficientnet_b4", *IMAGENET),
        ),
        BackboneSpec(
            "efficientnet_lite0",
            1280,
            "ImageNet",
            lambda: TimmBackbone("tf_efficientnet_lite0", *LITE),
        ),
    )
}
"""The three backbones by name."""
