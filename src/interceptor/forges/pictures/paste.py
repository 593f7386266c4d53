"""Pieces of pictures: cut out, turned and toned, and laid into a picture."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from interceptor.forges.pictures.picture import Mask, Rgb
from interceptor.forges.pictures.regions import cropped

MARGIN = 4
"""Pixels around a piece that interpolation may reach."""
PLACES = 40
"""Random places that are tried for one piece."""


class Piece(NamedTuple):
    """A cut-out: pixels uint8[h, w, 3] and which of them belong to it, bool[h, w]."""

    pixels: Rgb
    mask: Mask


def cut(rgb: Rgb, mask: Mask) -> Piece:
    """What `mask` bool[H, W] shows of `rgb`, with `MARGIN` pixels around it; beyond the picture its border repeats."""
    shape, top, left = cropped(mask)
    rows = np.clip(np.arange(top - MARGIN, top + shape.shape[0] + MARGIN), 0, rgb.shape[0] - 1)
    columns = np.clip(np.arange(left - MARGIN, left + shape.shape[1] + MARGIN), 0, rgb.shape[1] - 1)
    return Piece(rgb[rows][:, columns], np.pad(shape, MARGIN))


def turned(piece: Piece, rng: np.random.Generator) -> Piece:
    """Half of the draws exact (as it is, mirrored, or a quarter turn), the others turned and scaled in between."""
    pixels, mask = piece
    if rng.random() < 0.35:
        pixels, mask = pixels[:, ::-1], mask[:, ::-1]
    if rng.random() < 0.5:
        turns = int(rng.choice([0, 1, 2, 3], p=[0.7, 0.1, 0.1, 0.1]))
        return _tight(np.rot90(pixels, turns), np.rot90(mask, turns))
    angle = rng.normal(0, 20) if rng.random() < 0.7 else rng.uniform(-180, 180)
    scale = 1.0 if rng.random() < 0.3 else float(np.exp(rng.uniform(np.log(0.7), np.log(1.4))))
    height, width = mask.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, scale)
    reach = np.abs(matrix[:, :2]) @ [width, height]
    size = np.ceil(reach).astype(int) + 1
    matrix[:, 2] += (size - [width, height]) / 2
    filtering = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
    moved = cv2.warpAffine(
        np.ascontiguousarray(pixels), matrix, size.tolist(), flags=filtering, borderMode=cv2.BORDER_REPLICATE
    )
    outline = cv2.warpAffine(255 * mask.astype(np.uint8), matrix, size.tolist(), flags=cv2.INTER_LINEAR)
    return _tight(moved, outline > 127)


def toned(piece: Piece, rng: np.random.Generator) -> Piece:
    """Often as it is; else with another gain and offset, softened, or with some grain, as a forger hides a copy."""
    pixels = piece.pixels.astype(np.float32)
    if rng.random() < 0.3:
        pixels = pixels * rng.uniform(0.85, 1.15) + rng.uniform(-10, 10)
    if rng.random() < 0.1:
        pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.1:
        pixels += rng.normal(0, rng.uniform(1, 5), (*pixels.shape[:2], 1))
    return Piece(np.rint(np.clip(pixels, 0, 255)).astype(np.uint8), piece.mask)


def place(piece: Piece, taken: Mask, rng: np.random.Generator) -> tuple[int, int] | None:
    """Top and left of a random place for a piece where it covers nothing `taken` and stays a pixel off the border.

    None where none of `PLACES` will do.
    """
    height, width = piece.mask.shape
    free = np.array(taken.shape) - (height, width) - 2
    if (free < 0).any():
        return None
    for _ in range(PLACES):
        top, left = rng.integers(1, free + 2)
        if not (taken[top : top + height, left : left + width] & piece.mask).any():
            return int(top), int(left)
    return None


def laid(rgb: Rgb, piece: Piece, top: int, left: int, rng: np.random.Generator) -> tuple[Rgb, Mask]:
    """The picture with the piece in it, at least a pixel off the border, and the mask bool[H, W] of the pixels it took.

    The edge is hard, feathered inwards, or the whole piece is Poisson-blended (Perez et al., SIGGRAPH 2003).
    """
    height, width = piece.mask.shape
    box = np.s_[top : top + height, left : left + width]
    mask = np.zeros(rgb.shape[:2], bool)
    mask[box] = piece.mask
    image = rgb.copy()
    match rng.choice(["hard", "feathered", "poisson"], p=[0.35, 0.4, 0.25]):
        case "hard":
            image[box][piece.mask] = piece.pixels[piece.mask]
        case "feathered":
            image[box] = feathered(rgb[box], piece.pixels, piece.mask, rng.uniform(1, 4))
        case "poisson":
            around = np.s_[top - 1 : top + height + 1, left - 1 : left + width + 1]
            centre = (1 + width // 2, 1 + height // 2)
            blended = cv2.seamlessClone(
                np.ascontiguousarray(piece.pixels),
                np.ascontiguousarray(rgb[around]),
                piece.mask.astype(np.uint8) * 255,
                centre,
                cv2.NORMAL_CLONE,
            )
            image[around][mask[around]] = blended[mask[around]]
    return image, mask


def feathered(under: Rgb, over: Rgb, mask: Mask, reach: float) -> Rgb:
    """`over` on `under`, both uint8[h, w, 3], fading in over `reach` pixels from the edge of `mask` inwards."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    weight = np.minimum(depth / (reach + 1), 1)[..., None]
    return np.rint(over * weight + under * (1 - weight)).astype(np.uint8)


def _tight(pixels: Rgb, mask: Mask) -> Piece:
    shape, top, left = cropped(mask)
    return Piece(pixels[top : top + shape.shape[0], left : left + shape.shape[1]], shape)
