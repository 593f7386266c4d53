"""Splice: a part of another picture laid into this one."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from interceptor.forges.pictures.paste import cut, laid, place, toned, turned
from interceptor.forges.pictures.picture import ForgedPicture, ForgeError, Mask, Rgb, visibly_changed
from interceptor.forges.pictures.regions import draw_share, region

TRIES = 20


def splice(
    rgb: Rgb, rng: np.random.Generator, donor: Rgb, donor_objects: NDArray[np.integer] | None = None
) -> ForgedPicture:
    """One part of `donor` uint8[h, w, 3] (one time in five: two) laid into `rgb`, each an instance.

    Parts keep the donor's resolution unless they are scaled on purpose. In a grey picture they are grey: colour would
    give them away without any forensics. Raises `ForgeError` where nothing fits.
    """
    parts = 1 + int(rng.random() < 0.2)
    area = draw_share(rng) * rgb.shape[0] * rgb.shape[1] / parts
    if (rgb == rgb[..., :1]).all():
        donor = cv2.cvtColor(cv2.cvtColor(donor, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    image, taken = rgb, np.zeros(rgb.shape[:2], bool)
    instances: list[Mask] = []
    for _ in range(parts):
        image, instance = _part(image, taken, area, rng, donor, donor_objects)
        taken = taken | instance
        instances.append(instance)
    return ForgedPicture(image, np.stack(instances), "splice")


def _part(
    rgb: Rgb, taken: Mask, area: float, rng: np.random.Generator, donor: Rgb, objects: NDArray[np.integer] | None
) -> tuple[Rgb, Mask]:
    for attempt in range(TRIES):
        piece = cut(donor, region(donor.shape[:2], area * 0.85**attempt, rng, objects))
        piece = toned(turned(piece, rng), rng)
        where = place(piece, taken, rng)
        if where is None:
            continue
        image, covered = laid(rgb, piece, *where, rng)
        if visibly_changed(rgb, image, covered):
            return image, covered
    raise ForgeError("no part of the other picture fits into this one so that it shows")
