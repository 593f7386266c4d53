"""The modules of the six specialists, as data: parallel convolutions that read a lens.

A specialist's row names its branches; one class builds any of them. Pooling before the last 1 x 1 convolution is the
same function as pooling after it (both are linear) at a fraction of the work, so that is what is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

GRID = 7
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
    """A specialist's module: its code and its branches."""

    code: str
    branches: tuple[Branch, ...]

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


MODULES = {
    spec.code: spec
    for spec in (
        ModuleSpec(
            "ll",
            (
                Branch("luminance_3", 16, 3, kind="plain"),
                Branch("luminance_5", 16, 5, kind="plain"),
                Branch("luminance_7", 16, 7, kind="plain"),
                Branch("noise", 12, 5),
                Branch("shadow", 8, 7),
            ),
        ),
        ModuleSpec(
            "bg",
            (
                Branch("texture", 16, 7),
                Branch("lighting", 12, 5),
                Branch("shadow", 8, 9),
                Branch("colour_temperature", 8, 3),
            ),
        ),
        ModuleSpec(
            "av",
            (
                Branch("lip_sync", 16, 5),
                Branch("voice_frequency", 12, 7),
                Branch("correlation", 10, 3),
                Branch("temporal_audio", 10, 9),
            ),
        ),
        ModuleSpec(
            "cm",
            (
                Branch("dct", 12, 8, stride=8, kind="transform"),
                Branch("quantisation", 10, 4, stride=2),
                Branch("block_boundary", 8, 3),
                Branch("level", 10, 5),
            ),
        ),
        ModuleSpec(
            "rr",
            (
                Branch("multi_scale", 10, 3),
                Branch("upscaling", 8, 5),
                Branch("edge_sharpness", 8, 3),
                Branch("interpolation", 10, 7),
            ),
        ),
        ModuleSpec(
            "tm",
            (
                Branch("frame_consistency", 14, 5),
                Branch("motion_flow", 12, 7),
                Branch("temporal_artifact", 12, 3),
                Branch("optical_flow", 14, 9),
            ),
        ),
    )
}
"""The six modules by their code."""


def module_spec(code: str) -> ModuleSpec:
    """The row of `code`. Raises `ValueError` naming the valid ones."""
    try:
        return MODULES[code]
    except KeyError:
        raise ValueError(f"{code!r} is no specialist; choose from {', '.join(MODULES)}") from None


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
        features = torch.cat([branch(lens) for branch in self.branches.values()], 1)
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

    def forward(self, lens: Tensor) -> Tensor:
        return self.mix(functional.adaptive_avg_pool2d(self.local(lens), GRID))


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Convolution, batch norm, ReLU. The size is kept at stride 1, divided by the stride otherwise."""
    padding: str | int = "same" if stride == 1 else (kernel - stride) // 2
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding=padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]
