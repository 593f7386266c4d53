"""Copy-move: a part of the picture repeated elsewhere in it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from interceptor.forges.pictures.paste import cut, laid, place, toned, turned
from interceptor.forges.pictures.picture import ForgedPicture, ForgeError, Mask, Rgb, visibly_changed
from interceptor.forges.pictures.regions import draw_share, region

TRIES = 20


def copy_move(rgb: Rgb, rng: np.random.Generator, objects: NDArray[np.integer] | None = None) -> ForgedPicture:
    """One source (one time in four: two) and one to three copies of it, mirrored, turned, scaled, toned and blended.

    The drawn share of the picture is that of sources and copies together. An instance is a source and its copies;
    neither covers anything of the other. Raises `ForgeError` where the picture is too plain for a copy to show.
    """
    groups = 1 + int(rng.random() < 0.25)
    copies = int(rng.choice([1, 2, 3], p=[0.75, 0.2, 0.05]))
    area = draw_share(rng) * rgb.shape[0] * rgb.shape[1] / (groups * (1 + copies))
    image, taken, instances = rgb, np.zeros(rgb.shape[:2], bool), []
    for _ in range(groups):
        image, instance = _group(image, taken, copies, area, rng, objects)
        taken |= instance
        instances.append(instance)
    return ForgedPicture(image, np.stack(instances), "copy_move")


def _group(
    rgb: Rgb,
    taken: Mask,
    copies: int,
    area: float,
    rng: np.random.Generator,
    objects: NDArray[np.integer] | None,
) -> tuple[Rgb, Mask]:
    """The picture with one part copied, and the mask of source and copies, none of it in `taken`."""
    for attempt in range(TRIES):
        source = region(rgb.shape[:2], area * 0.85**attempt, rng, objects)
        if (source & taken).any():
            continue
        piece, image, instance = cut(rgb, source), rgb, source
        for _ in range(copies):
            copy = toned(turned(piece, rng), rng)
            # A copy that touched its source would be one region with it.
            apart = cv2.dilate((instance | taken).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
            where = place(copy, apart, rng)
            if where is None:
                break
            before = image
            image, covered = laid(before, copy, *where, rng)
            if not visibly_changed(before, image, covered):
                break
            instance = instance | covered
        else:
            return image, instance
    raise ForgeError("no part of this picture could be copied so that it shows")
