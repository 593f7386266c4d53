"""Where and how large a forgery is: organic shapes, or the shapes of labelled objects."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from interceptor.forges.pictures.picture import ForgeError, Mask

SMALLEST, SMALL, LARGEST = 0.002, 0.02, 0.2
"""Shares of a picture; half of the forgeries lie below `SMALL`."""
FEWEST_PIXELS = 64
LARGEST_SIDE = 0.6
"""A region's height and width, of the picture's."""
MOST_OBJECTS = 30


def draw_share(rng: np.random.Generator) -> float:
    """The forged share of a picture: half of the draws from 0.2 to 2 %, half from 2 to 20 %, even in its logarithm."""
    low, high = (SMALLEST, SMALL) if rng.random() < 0.5 else (SMALL, LARGEST)
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def region(
    size: tuple[int, int], area: float, rng: np.random.Generator, objects: NDArray[np.integer] | None = None
) -> Mask:
    """A region of about `area` pixels somewhere in a picture of `size` (H, W): bool[H, W].

    `objects` int[H, W], 0 = background: a group of neighbouring objects; otherwise, or where it holds none, an organic
    shape. Raises `ForgeError` for a picture under 32 pixels a side.
    """
    if min(size) < 32:
        raise ForgeError(f"a picture of {size[0]} x {size[1]} pixels is too small to forge")
    area = max(area, FEWEST_PIXELS)
    if objects is not None and objects.any():
        return _objects(objects, area, rng)
    shape = organic(area, size, rng)
    top, left = (int(rng.integers(0, whole - part + 1)) for whole, part in zip(size, shape.shape, strict=True))
    mask = np.zeros(size, bool)
    mask[top : top + shape.shape[0], left : left + shape.shape[1]] = shape
    return mask


def organic(area: float, size: tuple[int, int], rng: np.random.Generator) -> Mask:
    """A random shape of about `area` pixels within its own bounding box, which fits into `size` (H, W).

    Half are blobs (a circle bent by harmonics), the others polygons, ellipses and upright rectangles, as selections in
    an editor are.
    """
    kind = rng.choice(["blob", "polygon", "ellipse", "rectangle"], p=[0.5, 0.2, 0.15, 0.15])
    angle = 0.0 if kind == "rectangle" else rng.uniform(0, np.pi)
    match kind:
        case "rectangle":
            points = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
        case "polygon":
            turns = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(6, 11)))
            points = rng.uniform(0.6, 1, (len(turns), 1)) * np.column_stack([np.cos(turns), np.sin(turns)])
        case _:
            turns = np.linspace(0, 2 * np.pi, 72, endpoint=False)
            radius = np.ones_like(turns)
            for harmonic in range(2, 6) if kind == "blob" else ():
                radius += rng.normal(0, 0.35 / harmonic) * np.cos(harmonic * turns + rng.uniform(0, 2 * np.pi))
            points = np.maximum(radius, 0.3)[:, None] * np.column_stack([np.cos(turns), np.sin(turns)])
    stretch = np.exp(rng.normal(0, 0.3))
    points = points * [stretch, 1 / stretch]
    points = points @ [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    points *= np.sqrt(area / max(cv2.contourArea(points.astype(np.float32)), 0.1))
    points -= points.min(axis=0)
    extent, limit = points.max(axis=0), LARGEST_SIDE * np.array(size[::-1])
    points *= min(1.0, *(limit / extent))
    width, height = np.ceil(points.max(axis=0)).astype(int) + 1
    shape = np.zeros((height, width), np.uint8)
    cv2.fillPoly(shape, [np.rint(points * 16).astype(np.int32)], 1, shift=4)
    return cropped(shape.astype(bool))[0]


def _objects(labels: NDArray[np.integer], area: float, rng: np.random.Generator) -> Mask:
    """One object and its nearest neighbours, as many as make up about `area` pixels."""
    names, index = np.unique(labels, return_inverse=True)
    index = index.reshape(labels.shape)
    sizes = np.bincount(index.ravel())
    rows, columns = np.indices(labels.shape)
    sums = [np.bincount(index.ravel(), weights=axis.ravel()) for axis in (rows, columns)]
    centres = np.column_stack(sums) / sizes[:, None]
    usable = np.flatnonzero(names != 0)
    fitting = usable[sizes[usable] <= 1.5 * area]
    if not len(fitting):
        return index == usable[np.argmin(sizes[usable])]
    first = rng.choice(fitting)
    chosen, total = [], 0.0
    for candidate in fitting[np.argsort(np.hypot(*(centres[fitting] - centres[first]).T))][:MOST_OBJECTS]:
        if total + sizes[candidate] <= 1.5 * area:
            chosen.append(candidate)
            total += sizes[candidate]
        if total >= 0.8 * area:
            break
    return np.isin(index, chosen)


def cropped(mask: Mask) -> tuple[Mask, int, int]:
    """A mask within its bounding box, and that box's top and left. Raises `ForgeError` for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise ForgeError("the region has no pixels")
    top, left = int(rows[0]), int(columns[0])
    return mask[top : rows[-1] + 1, left : columns[-1] + 1], top, left
