"""What looks at a picture, or at a tile of one: the standard localizer and the full ones. No PyTorch.

Both give each member's map of logits of whatever they are shown. Flips are taken here, as they are of what a network is
given; so is running out of memory, which only a network's own size can answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from interceptor.media.inputs import network_input
from interceptor.media.tiles import feather, fitted, starts
from interceptor.runtime.network import Network

STANDARD_SIDE = 448
FULL_SIDE = 512
LEAST_SIDE = 128
"""The smallest tile that a full localizer is fallen back to."""


class Sight(Protocol):
    """Something that looks."""

    side: int
    """Pixels a side of what it is given: what is larger is squeezed, what is smaller enlarged."""
    tile: int
    """Pixels a side of what its networks take in at once: less than `side` where memory ran out."""

    def __call__(self, patch: np.ndarray) -> list[np.ndarray]:
        """uint8[H, W, 3] RGB to logits float32[members, h, w], once for each flip, all laid as the patch is.

        Raises `MemoryError` where there is no room for even the smallest look.
        """


class StandardSight:
    """The members over the foundation: one network of one size, whose need of memory is small and does not change.
    Raises `WeightError`.
    """

    side = tile = STANDARD_SIDE

    def __init__(self, path: Path, flips: int) -> None:
        self.flips = flips
        self._network = Network(path, shape=(1, self.side, self.side, 3), outputs=("logits",))

    def __call__(self, patch: np.ndarray) -> list[np.ndarray]:
        picture = fitted(patch, self.side)[None]
        return [_laid_back(self._network(_laid(picture, turn))[0][0], turn) for turn in range(self.flips)]


class FullSight:
    """Networks of the full tier, a file and its number of channels each: `image` float32[n, 3 or 4, 512, 512] (see
    `network_input`) to `logits` float32[n, 1, 512, 512].

    Where memory runs out, looks are from then on taken in overlapping, feathered tiles of half the side, and so on down
    to `LEAST_SIDE`. Raises `WeightError`.
    """

    side = FULL_SIDE

    def __init__(self, files: Mapping[Path, int], flips: int) -> None:
        self.flips, self.tile = flips, self.side
        self._files = dict(files)
        self._networks: list[Network] = []
        self._within_memory(lambda: [])

    def __call__(self, patch: np.ndarray) -> list[np.ndarray]:
        return self._within_memory(lambda: self._look(patch))

    def _within_memory(self, work: Callable[[], list[np.ndarray]]) -> list[np.ndarray]:
        while True:
            try:
                self._networks = self._networks or [
                    Network(path, shape=(1, channels, self.tile, self.tile)) for path, channels in self._files.items()
                ]
                return work()
            except MemoryError:
                self._networks = []  # what they hold is free before smaller ones are made
                if self.tile == LEAST_SIDE:
                    raise
                self.tile //= 2

    def _look(self, patch: np.ndarray) -> list[np.ndarray]:
        given = {n: network_input(patch, self.side, error_levels=n == 4) for n in set(self._files.values())}
        inputs = [given[channels] for channels in self._files.values()]
        return [
            np.stack([self._map(*pair, turn) for pair in zip(self._networks, inputs, strict=True)])
            for turn in range(self.flips)
        ]

    def _map(self, network: Network, planes: np.ndarray, turn: int) -> np.ndarray:
        """float32[3 or 4, 512, 512] to logits float32[512, 512], tile by tile."""
        turned, logits = _laid(planes, turn), np.zeros((1, self.side, self.side), np.float32)
        begins = starts(self.side, self.tile, self.tile // 8)
        shares = feather(begins, self.tile, self.side)
        for down, top in zip(shares, begins, strict=True):
            for across, left in zip(shares, begins, strict=True):
                rows, columns = slice(top, top + self.tile), slice(left, left + self.tile)
                seen = network(np.ascontiguousarray(turned[None, :, rows, columns]))[0][0]
                logits[:, rows, columns] += down[rows, None] * across[columns] * seen
        return _laid_back(logits, turn)[0]


def _laid(array: np.ndarray, turn: int) -> np.ndarray:
    """One of eight ways to lay a square [n, side, side, ...]: 0 to 3 mirrored across no, one or both axes, 4 to 7
    turned too.
    """
    turned = np.rot90(array, axes=(1, 2)) if turn >= 4 else array
    return np.ascontiguousarray(turned[:, :: -1 if turn & 1 else 1, :: -1 if turn & 2 else 1])


def _laid_back(array: np.ndarray, turn: int) -> np.ndarray:
    mirrored = array[:, :: -1 if turn & 1 else 1, :: -1 if turn & 2 else 1]
    return np.rot90(mirrored, -1, axes=(1, 2)) if turn >= 4 else mirrored
