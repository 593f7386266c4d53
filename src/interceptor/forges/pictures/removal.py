"""Removal: a part of the picture painted over with what surrounds it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from interceptor.forges.pictures.picture import ForgedPicture, ForgeError, Mask, Rgb, visibly_changed
from interceptor.forges.pictures.regions import cropped, draw_share, region

TRIES = 20
LARGEST_DIFFUSED = 8000
"""Pixels up to which diffusion is believable; beyond it smears, and takes seconds."""
CANDIDATES = 40


def removal(rgb: Rgb, rng: np.random.Generator, objects: NDArray[np.integer] | None = None) -> ForgedPicture:
    """A region filled in by patches, small ones also by OpenCV's diffusion (Telea 2004; Bertalmio et al. 2001).

    Around labelled objects a few pixels go as well, so that no rim is left. Raises `ForgeError` where filling shows
    nowhere.
    """
    for _ in range(TRIES):
        mask = region(rgb.shape[:2], draw_share(rng) * rgb.shape[0] * rgb.shape[1], rng, objects)
        if objects is not None:
            mask = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
        if mask.mean() > 0.5:
            continue
        image = filled(rgb, mask, rng)
        if visibly_changed(rgb, image, mask):
            return ForgedPicture(image, mask[None], "removal")
    raise ForgeError("nothing could be removed from this picture so that it shows")


def filled(rgb: Rgb, mask: Mask, rng: np.random.Generator) -> Rgb:
    """The picture with `mask` bool[H, W] filled in from outside of it; other pixels stay as they are."""
    if mask.sum() <= LARGEST_DIFFUSED and rng.random() < 0.5:
        return _diffused(rgb, mask, rng)
    return _patched(rgb, mask, rng)


def _diffused(rgb: Rgb, mask: Mask, rng: np.random.Generator) -> Rgb:
    shape, top, left = cropped(mask)
    radius = int(rng.integers(3, 8))
    around = np.s_[
        max(0, top - 2 * radius) : top + shape.shape[0] + 2 * radius,
        max(0, left - 2 * radius) : left + shape.shape[1] + 2 * radius,
    ]
    method = int(rng.choice([cv2.INPAINT_TELEA, cv2.INPAINT_NS]))
    found = cv2.inpaint(np.ascontiguousarray(rgb[around]), mask[around].astype(np.uint8), radius, method)
    image = rgb.copy()
    inside = mask[around]
    if rng.random() < 0.5:  # diffusion is smoother than any photograph: give it grain
        grain = rng.normal(0, rng.uniform(1, 4), (*found.shape[:2], 1))
        found = np.rint(np.clip(found + grain, 0, 255)).astype(np.uint8)
    image[around][inside] = found[inside]
    return image


def _patched(rgb: Rgb, mask: Mask, rng: np.random.Generator) -> Rgb:
    """Patch after patch from the edge inwards, each the best of some random places nearby, by what is known of it.

    After Criminisi et al., TIP 2004, without their priorities and with a random search instead of a full one.
    """
    size = int(np.clip(np.sqrt(mask.sum()) / 3, 9, 41)) | 1
    half, free = size // 2, _free_places(mask, size)
    image, unknown = rgb.astype(np.float32), mask.copy()
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    rows, columns = np.nonzero(mask)
    order = np.argsort(depth[rows, columns] + rng.uniform(0, half, len(rows)))
    window = np.hanning(size + 2)[1:-1]
    weights = np.outer(window, window)[..., None].astype(np.float32)
    for row, column in zip(rows[order], columns[order], strict=True):
        if not unknown[row, column]:
            continue
        top = int(np.clip(row - half, 0, rgb.shape[0] - size))
        left = int(np.clip(column - half, 0, rgb.shape[1] - size))
        box = np.s_[top : top + size, left : left + size]
        source = _best(image[box], ~unknown[box], rgb, free, (top, left), 3.0 * size, rng)
        inside, new = mask[box], unknown[box]
        mixed = image[box] * (1 - weights) + source * weights
        image[box] = np.where(new[..., None], source, np.where(inside[..., None], mixed, image[box]))
        unknown[box] = False
    result = rgb.copy()
    result[mask] = np.rint(image[mask]).astype(np.uint8)
    return result


def _best(
    target: NDArray[np.float32],
    known: Mask,
    rgb: Rgb,
    free: NDArray[np.int64],
    near: tuple[int, int],
    spread: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """float32[size, size, 3]: of some patches that which differs least from `target` where that is known.

    `free` [n, 2] are the places (top, left) of patches without a masked pixel; those around `near` are likelier.
    """
    distance = np.hypot(*(free - near).T)
    chances = np.exp(-distance / spread) + 1e-3 / len(free)
    chosen = free[rng.choice(len(free), min(CANDIDATES, len(free)), replace=False, p=chances / chances.sum())]
    size = len(target)
    patches = np.stack([rgb[row : row + size, column : column + size] for row, column in chosen])
    if not known.any():
        return patches[0].astype(np.float32)
    differences = np.square(patches[:, known] - target[known]).mean(axis=(1, 2))
    return patches[np.argmin(differences)].astype(np.float32)


def _free_places(mask: Mask, size: int) -> NDArray[np.int64]:
    """Top and left [n, 2] of places, every few pixels, whose patch has no masked pixel; `ForgeError` for none."""
    sums = cv2.integral(mask.astype(np.uint8))
    step = max(1, size // 4)
    taken = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    places = np.argwhere(taken[::step, ::step] == 0) * step
    if not len(places):
        raise ForgeError("no part of this picture is large enough to fill in from")
    return places
