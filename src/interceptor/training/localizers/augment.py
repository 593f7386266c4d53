"""What happens to a picture and its mask each time a network of the full tier sees them."""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.forges.codecs import jpeg
from interceptor.forges.pictures import ForgeError, forge
from interceptor.training.localizers.data import FULL, IGNORED, altered
from interceptor.training.localizers.recipes import Member

Marked = tuple[np.ndarray, np.ndarray]
"""A picture uint8[h, w, 3] RGB and its mask uint8[h, w]: 1 = forged, `IGNORED` = not to be judged, else 0."""
ZOOM = (0.3, 0.7)
"""Sides of a zoomed part, of the picture's."""


def augmented(rgb: np.ndarray, mask: np.ndarray, member: Member, rng: np.random.Generator) -> Marked:
    """One draw of a member's augmentation: a zoom for the zoomed; flips, quarter turns, colour and blur for all; more
    for the strong.
    """
    if member.zoomed:
        rgb, mask = zoomed(rgb, mask, rng)
    turn, mirror = int(rng.integers(4)), rng.random() < 0.5
    rgb, mask = (np.rot90(array, turn)[:, :: -1 if mirror else 1] for array in (rgb, mask))
    rgb, mask = np.ascontiguousarray(rgb), np.ascontiguousarray(mask)
    if member.strong:
        rgb, mask = _strongly(rgb, mask, rng)
    if rng.random() < 0.3:
        gains = rng.uniform(0.85, 1.15) * rng.uniform(0.95, 1.05, 3)
        rgb = np.clip(np.rint(rgb * gains + rng.uniform(-10, 10)), 0, 255).astype(np.uint8)
    if rng.random() < 0.15:
        rgb = cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.3, 1.2))
    return rgb, mask


def zoomed(rgb: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Marked:
    """A part of the picture; of a forged one a part that holds a forged pixel."""
    size = np.array(mask.shape)
    sides = np.maximum(np.rint(size * rng.uniform(*ZOOM)).astype(int), np.minimum(size, 64))
    places = np.argwhere(mask == 1)
    if len(places):
        centre = places[rng.integers(len(places))]
        low, high = np.maximum(centre - sides + 1, 0), np.minimum(centre, size - sides)
    else:
        low, high = np.zeros(2, int), size - sides
    top, left = rng.integers(low, high + 1)
    box = np.s_[top : top + sides[0], left : left + sides[1]]
    return rgb[box], mask[box]


def _strongly(rgb: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Marked:
    if rng.random() < 0.3:
        try:
            made = forge(rgb, rng, kind="copy_move")
        except ForgeError:
            pass
        else:
            rgb, mask = made.image, np.where(mask > 0, mask, altered(rgb, made))
    if rng.random() < 0.5:
        height, width = mask.shape
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-15, 15), rng.uniform(0.9, 1.15))
        matrix[:, 2] += rng.uniform(-0.05, 0.05, 2) * [width, height]
        rgb = cv2.warpAffine(rgb, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        # What the border mirrors is forged as well.
        mask = cv2.warpAffine(mask, matrix, (width, height), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT)
    if rng.random() < 0.3:
        grain = rng.normal(0, rng.uniform(2, 8), (*mask.shape, 1))
        rgb = np.clip(np.rint(rgb + grain), 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        rgb = jpeg(rgb, int(rng.integers(70, 101)))
    if rng.random() < 0.3:
        rgb, mask = rgb.copy(), mask.copy()
        for _ in range(int(rng.integers(1, 9))):
            sides = np.maximum((np.array(mask.shape) * rng.uniform(0.03, 0.1, 2)).astype(int), 1)
            top, left = (int(rng.integers(n - side + 1)) for n, side in zip(mask.shape, sides, strict=True))
            hole = np.s_[top : top + sides[0], left : left + sides[1]]
            rgb[hole], mask[hole] = 0, IGNORED
    return rgb, mask


def as_target(mask: np.ndarray, side: int) -> np.ndarray:
    """The mask at the network's size, uint8[side, side]: 0, `FULL` or `IGNORED`."""
    small = cv2.resize(mask, (side, side), interpolation=cv2.INTER_NEAREST)
    return np.where(small == 1, FULL, small).astype(np.uint8)
