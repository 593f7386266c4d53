"""What every kind of classical evidence returns, and how maps of blocks become maps of pixels."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

LEAST_AREA = 0.003
"""Share of the area from which a caption points at what is bright: smaller specks come by chance."""


@dataclass(frozen=True)
class EvidenceMap:
    """One kind of evidence about one picture. Evidence, never a verdict: it enters none without calibration.

    `values` are float32[H, W] in 0..1 at the picture's native size, as displayed; 0.5 is where a map begins to speak
    (error level analysis alone has no such point). None where the evidence is not of a place, or where it abstained.
    `caption` says in plain words what is seen, `limits` what it cannot tell. `abstained` is the reason why there was
    nothing to look at. `measures` are the figures that the caption rests on.
    """

    name: str
    values: np.ndarray | None
    caption: str
    limits: str
    abstained: str | None = None
    measures: dict[str, float] = field(default_factory=dict)

    @classmethod
    def abstain(cls, name: str, limits: str, reason: str) -> EvidenceMap:
        return cls(name, None, f"Not looked at: {reason}.", limits, abstained=reason)


def share_above_half(values: np.ndarray) -> float:
    """The share of a map's area that speaks."""
    return float(np.mean(values > 0.5))


def spread(blocks: np.ndarray, side: int, shape: tuple[int, int], origin: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Values of square blocks to pixels: float32[rows, columns] to float32[H, W] of `shape`.

    Blocks have `side` pixels, the first begins at `origin` (row, column). Linear between the centres; what lies
    beyond the outermost blocks repeats them.
    """
    rows, columns = blocks.shape
    grown = cv2.resize(np.float32(blocks), (columns * side, rows * side), interpolation=cv2.INTER_LINEAR)
    below, right = shape[0] - origin[0] - rows * side, shape[1] - origin[1] - columns * side
    padded = cv2.copyMakeBorder(grown, origin[0], max(0, below), origin[1], max(0, right), cv2.BORDER_REPLICATE)
    return np.clip(padded[: shape[0], : shape[1]], 0, 1)


def block_median(values: np.ndarray, side: int) -> np.ndarray:
    """float32[H, W] to the medians of its whole square blocks, float32[H // side, W // side]."""
    rows, columns = values.shape[0] // side, values.shape[1] // side
    blocks = values[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return np.median(blocks.swapaxes(1, 2).reshape(rows, columns, -1), axis=2)


def block_mean(values: np.ndarray, side: int) -> np.ndarray:
    """float32[H, W] to the means of its whole square blocks, float32[H // side, W // side]."""
    rows, columns = values.shape[0] // side, values.shape[1] // side
    return values[: rows * side, : columns * side].reshape(rows, side, columns, side).mean(axis=(1, 3))
