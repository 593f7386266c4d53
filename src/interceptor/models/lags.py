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
WIDTH = 3
_STEP = 2 * LAGS / ROWS
_LATE = [(row + 0.5) * _STEP - LAGS for row in range(ROWS)]
_IN = [row for row, late in enumerate(_LATE) if abs(late) < NEAR + _STEP / 4]
_OUT = [row for row, late in enumerate(_LATE) if abs(late) > APART]


def lag_view(lens: Tensor) -> Tensor:
    """Of lenses float32[n, 3, h, w], `[n, 3]`: the best likeness in sync, the best out of it, and the standard
    deviation out of it.

    Not the likeness at each lag, which would be a poor view: whoever is out of sync is so by one lag of many, and the
    weights of a linear read-out of them all are a compromise between them.
    """
    likeness = functional.adaptive_avg_pool2d(lens[:, AGREEMENT : AGREEMENT + 1], (ROWS, 1)).flatten(1)
    near, apart = likeness[:, _IN], likeness[:, _OUT]
    variance = (apart - apart.mean(1, keepdim=True)).square().mean(1, keepdim=True)
    return torch.cat([near.amax(1, keepdim=True), apart.amax(1, keepdim=True), variance.clamp_min(1e-8).sqrt()], 1)
