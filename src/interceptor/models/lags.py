"""What the read-out of the audio-visual specialist reads: how far lips and sound agree at each lag."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from interceptor.lenses.audio_visual import LAGS
from interceptor.lenses.sync import APART, NEAR

AGREEMENT = 2
"""Channel of the lens; the mean of a row is the correlation at one lag."""
ROWS = 28
"""Lags read, 0.04 s each."""
WIDTH = ROWS + 1
_STEP = 2 * LAGS / ROWS
_LATE = [(row + 0.5) * _STEP - LAGS for row in range(ROWS)]
_IN = [row for row, late in enumerate(_LATE) if abs(late) < NEAR + _STEP / 4]
_OUT = [row for row, late in enumerate(_LATE) if abs(late) > APART]


def lag_view(lens: Tensor) -> Tensor:
    """Of lenses float32[n, 3, h, w], `[n, 29]`: likeness at `ROWS` lags, and the best in sync less the best out of it.

    The last is `lenses.sync`'s agreement, which is not linear in the others: whoever is out of sync is so by one lag of
    many, and the weights of a linear read-out are a compromise between them.
    """
    likeness = functional.adaptive_avg_pool2d(lens[:, AGREEMENT : AGREEMENT + 1], (ROWS, 1)).flatten(1)
    best = likeness[:, _IN].amax(1, keepdim=True) - likeness[:, _OUT].amax(1, keepdim=True)
    return torch.cat([likeness, best], 1)
