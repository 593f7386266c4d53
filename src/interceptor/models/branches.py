"""A specialist's module, as data: parallel convolutions that read a lens.

A specialist's row names its branches; one class builds any of them. Pooling before the last 1 x 1 convolution is the
same function as pooling after it (both are linear) at a fraction of the work, so that is what is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from interceptor.lenses.half import PLACES
from interceptor.models.statistics import TEXTURE, Statistics

GRID = PLACES
"""Modules and backbones meet on a grid of 7 x 7 places."""
LENS_CHANNELS = 3
SQUEEZE = 32
"""Width of the channel attention."""


@dataclass(frozen=True)
class Branch:
    """One branch: its name, the channels it adds, its kernel, the stride of its first convolution, and its shape.

    `bottleneck`: conv k (3 -> c), conv k (c -> 2c), conv 1 (2c -> c). `plain`: conv k (3 -> c), conv k (c -> c).
    `transform`: conv k (3 -> c), then conv 1 (c -> 2c), conv 1 (2c -> c): a learned block transform. Batch norm and
    ReLU follow each convolution but the last of a bottleneck or transform.
    """

    name: str
    channels: int
    kernel: int
    stride: int = 1
    kind: Literal["bottleneck", "plain", "transform"] = "bottleneck"


@dataclass(frozen=True)
class ModuleSpec:
    """A specialist's module: its code, its branches, and how else a standard head reads the lens."""

    code: str
    branches: tuple[Branch, ...]
    statistics: Statistics = TEXTURE
    """of the lens's places, beside the branches"""
    reads_lags: bool = False
    """the read-out reads the lens, whose rows are lags (`lags.lag_view`): a picture does not tell what is heard"""

    @property
    def model_type(self) -> str:
        return f"{self.code}_specialist"

    @property
    def channels(self) -> int:
        return sum(branch.channels for branch in self.branches)

    @property
    def features(self) -> int:
        """Length of the module's output over the whole grid."""
        return self.channels * GRID * GRID


class SpecialistModule(nn.Module):
    """Lens `float32[n, 3, h, w]` to features `[n, channels, 7, 7]`, each weighted by an attention over the channels of
    its place.
    """

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__()
        self.branches = nn.ModuleDict({branch.name: _Branch(branch) for branch in spec.branches})
        self.attention = nn.Sequential(
            nn.Conv2d(spec.channels, SQUEEZE, 1), nn.ReLU(), nn.Conv2d(SQUEEZE, spec.channels, 1), nn.Sigmoid()
        )

    def forward(self, lens: Tensor) -> Tensor:
        found = []
        for branch in self.branches.values():  # TorchScript knows no comprehension over modules
            found.append(branch(lens))
        features = torch.cat(found, 1)
        return features * self.attention(features)


class _Branch(nn.Module):
    def __init__(self, branch: Branch) -> None:
        super().__init__()
        c, k = branch.channels, branch.kernel
        first = _convolution(LENS_CHANNELS, c, k, branch.stride)
        if branch.kind == "plain":
            self.local = nn.Sequential(*first, *_convolution(c, c, k))
            self.mix: nn.Module = nn.Identity()
        else:
            second = _convolution(c, 2 * c, 1 if branch.kind == "transform" else k)
            self.local = nn.Sequential(*first, *second)
            self.mix = nn.Conv2d(2 * c, c, 1)
        self.pool = nn.AdaptiveAvgPool2d(GRID)

    def forward(self, lens: Tensor) -> Tensor:
        return self.mix(self.pool(self.local(lens)))


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Convolution, batch norm, ReLU. The size is kept at stride 1, divided by the stride otherwise."""
    padding: str | int = "same" if stride == 1 else (kernel - stride) // 2
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding=padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]
