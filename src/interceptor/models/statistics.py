"""What a lens shows at each place in fifteen numbers, without anything learned."""

from __future__ import annotations

import torch
from torch import Tensor

from interceptor.models.branches import GRID, LENS_CHANNELS

STATISTICS = 5 * LENS_CHANNELS
_FLOOR = 1e-3
"""Added before a logarithm: a thousandth of what a lens spans."""


def place_statistics(lens: Tensor) -> Tensor:
    """Of lenses float32[n, 3, h, w] (h and w multiples of 7), `[n, 15, 7, 7]`: at each of the 7 x 7 places the mean of
    each channel; then the natural logarithm of its standard deviation, of its mean magnitude, and of the mean
    difference between neighbours across and down, each plus 0.001.

    Texture energy measures (Laws, 1980). In logarithms a gain or loss of detail is a difference between places.
    """
    n, channels, height, width = lens.shape
    cells = lens.reshape(n, channels, GRID, height // GRID, GRID, width // GRID)
    inside = (3, 5)
    mean = cells.mean(inside)
    spread = (cells - cells.mean(inside, keepdim=True)).square().mean(inside).sqrt()
    across = (cells[..., 1:] - cells[..., :-1]).abs().mean(inside)
    down = (cells[:, :, :, 1:] - cells[:, :, :, :-1]).abs().mean(inside)
    energies = torch.stack([spread, cells.abs().mean(inside), across, down], 1)
    return torch.cat([mean, torch.log(energies + _FLOOR).flatten(1, 2)], 1)
