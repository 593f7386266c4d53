"""What a lens shows at each of the 7 x 7 places in a few numbers, without anything learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from interceptor.lenses.half import PLACES

_FLOOR = 1e-3
"""Added before a logarithm: a thousandth of what a lens spans."""


@dataclass(frozen=True)
class Statistics:
    """Lenses float32[n, 3, h, w] (h and w multiples of 28) to float32[n, width, 7, 7]."""

    width: int
    of: Callable[[Tensor], Tensor]


def texture(lens: Tensor) -> Tensor:
    """The mean of each channel; then the natural logarithm of its standard deviation, of its mean magnitude, and of the
    mean difference between neighbours across and down, each plus 0.001: `[n, 15, 7, 7]`.

    Texture energy measures (Laws, 1980). In logarithms a gain or loss of detail is a difference between places.
    """
    n, channels, height, width = lens.shape
    cells = lens.reshape(n, channels, PLACES, height // PLACES, PLACES, width // PLACES)
    inside = (3, 5)
    mean = cells.mean(inside)
    spread = (cells - cells.mean(inside, keepdim=True)).square().mean(inside).sqrt()
    across = (cells[..., 1:] - cells[..., :-1]).abs().mean(inside)
    down = (cells[:, :, :, 1:] - cells[:, :, :, :-1]).abs().mean(inside)
    energies = torch.stack([spread, cells.abs().mean(inside), across, down], 1)
    return torch.cat([mean, torch.log(energies + _FLOOR).flatten(1, 2)], 1)


def illumination(lens: Tensor) -> Tensor:
    """Of a context in red, green and blue, -1..1, its middle half, 1.25 faces wide, since a rim of light or colour
    around the face is finer than a place of the whole: `[n, 42, 7, 7]`.

    The logarithm of luma, of red and of blue over green, less their means, in 2 x 2 cells a place; the logarithms of
    their steps to the next cell across and down, whichever their sign; and those between cells half as wide, averaged.
    A light multiplies what it falls on (von Kries), which in logarithms is a step.
    """
    height, width = lens.shape[2:]
    middle = lens[:, :, height // 4 : height // 4 * 3, width // 4 : width // 4 * 3]
    red, green, blue = ((middle + 1) * 127.5 + 8).log().unbind(1)
    light = torch.stack([(red + green + blue) / 3, red - green, blue - green], 1)
    fine = functional.adaptive_avg_pool2d(light, 4 * PLACES)
    fine = fine - fine.mean((2, 3), keepdim=True)
    cells = functional.avg_pool2d(fine, 2)
    told = [cells, _steps(cells)]
    return torch.cat([*(functional.pixel_unshuffle(x, 2) for x in told), functional.avg_pool2d(_steps(fine), 4)], 1)


def _steps(x: Tensor) -> Tensor:
    """Log magnitudes of the steps across and down, the last repeated: `[n, 2 c, h, w]`."""
    across = functional.pad(x[..., 1:] - x[..., :-1], (0, 1, 0, 0), mode="replicate")
    down = functional.pad(x[:, :, 1:] - x[:, :, :-1], (0, 0, 0, 1), mode="replicate")
    return (torch.cat([across, down], 1).abs() + 0.01).log()


TEXTURE = Statistics(15, texture)
ILLUMINATION = Statistics(42, illumination)
