"""Enhancement of a face crop before a network sees it: named steps, the same in training and in a scan.

A step changes the crop for the backbone only. Lenses look at the clip as it is: noise and block edges are what they are
there for, and a bilateral filter takes just those away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

CLIP_LIMIT, TILES = 2.0, 8
DIAMETER, COLOUR, SPACE = 5, 30.0, 3.0


def clahe(rgb: np.ndarray) -> np.ndarray:
    """Contrast-limited adaptive histogram equalisation of lightness (Zuiderveld, Graphics Gems IV, 1994): CIELAB L*,
    8 x 8 tiles, limit 2. `rgb` uint8[H, W, 3] to the same.
    """
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(CLIP_LIMIT, (TILES, TILES)).apply(np.ascontiguousarray(lab[..., 0]))
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


def bilateral(rgb: np.ndarray) -> np.ndarray:
    """Bilateral filter (Tomasi and Manduchi, ICCV 1998): 5 pixels across, sigma 30 levels and 3 pixels. `rgb`
    uint8[H, W, 3] to the same.
    """
    return cv2.bilateralFilter(rgb, DIAMETER, COLOUR, SPACE)


STEPS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"clahe": clahe, "bilateral": bilateral}
"""By the name that a checkpoint records."""


def enhance(rgb: np.ndarray, steps: Sequence[str]) -> np.ndarray:
    """`rgb` uint8[H, W, 3] after `steps`, in their order. Raises `ValueError` for a name that is no step."""
    for name in steps:
        if name not in STEPS:
            raise ValueError(f"{name!r} is no enhancement; choose from {', '.join(STEPS)}")
        rgb = STEPS[name](rgb)
    return rgb
