"""Retouching: a part of the picture softened, toned, roughened or dabbed over with its neighbourhood."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from interceptor.forges.pictures.paste import feathered
from interceptor.forges.pictures.picture import ForgedPicture, ForgeError, Mask, Rgb, visibly_changed
from interceptor.forges.pictures.regions import draw_share, region
from interceptor.forges.pictures.removal import filled

TRIES = 20


def retouch(rgb: Rgb, rng: np.random.Generator, objects: NDArray[np.integer] | None = None) -> ForgedPicture:
    """One change inside one region, fading in from its edge. Raises `ForgeError` where it would not show."""
    for _ in range(TRIES):
        mask = region(rgb.shape[:2], draw_share(rng) * rgb.shape[0] * rgb.shape[1], rng, objects)
        changed = _changed(rgb, mask, rng)
        reach = float(rng.uniform(0, 0.3) * np.sqrt(mask.sum()))
        image = np.where(mask[..., None], feathered(rgb, changed, mask, reach), rgb)
        if visibly_changed(rgb, image, mask):
            return ForgedPicture(image, mask[None], "retouch")
    raise ForgeError("no retouching of this picture would show")


def _changed(rgb: Rgb, mask: Mask, rng: np.random.Generator) -> Rgb:
    """The picture with one change all over; for the clone brush in the mask only."""
    pixels = rgb.astype(np.float32)
    match rng.choice(["blur", "contrast", "clone", "noise"], p=[0.3, 0.3, 0.2, 0.2]):
        case "blur":
            pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(1, 4))
        case "contrast":
            mean = pixels[mask].mean(axis=0)
            gain = rng.uniform(0.4, 0.8) if rng.random() < 0.5 else rng.uniform(1.25, 2)
            pixels = (pixels - mean) * gain + mean + rng.choice([-1, 1]) * rng.uniform(4, 30)
        case "clone":  # a brush at half strength, dabbed from all around
            pixels += (filled(rgb, mask, rng).astype(np.float32) - pixels) * rng.uniform(0.5, 1)
        case "noise":
            pixels += rng.normal(0, rng.uniform(4, 15), (*pixels.shape[:2], 1))
    return np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
