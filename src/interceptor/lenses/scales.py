"""How lenses bring their values to -1..1: by fixed curves that keep small values apart."""

from __future__ import annotations

import numpy as np


def signed(values: np.ndarray, half: float) -> np.ndarray:
    """values / (|values| + half): 0 stays 0, `half` comes out as 0.5."""
    return values / (np.abs(values) + half)


def amount(values: np.ndarray, middle: float) -> np.ndarray:
    """(values - middle) / (values + middle) of values >= 0: nothing comes out as -1, `middle` as 0."""
    return (values - middle) / (values + middle)
