"""Forged pictures out of authentic ones, with masks of what was forged: no learning."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from interceptor.forges.pictures.copy_move import copy_move
from interceptor.forges.pictures.picture import ForgedPicture, ForgeError, Rgb
from interceptor.forges.pictures.recompress import draw_recompression
from interceptor.forges.pictures.removal import removal
from interceptor.forges.pictures.retouch import retouch
from interceptor.forges.pictures.splice import splice

__all__ = ["KINDS", "ForgeError", "ForgedPicture", "draw_recompression", "forge"]

KINDS = ("copy_move", "splice", "removal", "retouch")


def forge(
    rgb: Rgb,
    rng: np.random.Generator,
    *,
    donor: Rgb | None = None,
    objects: NDArray[np.integer] | None = None,
    donor_objects: NDArray[np.integer] | None = None,
    kind: str | None = None,
) -> ForgedPicture:
    """A forgery of `rgb` uint8[H, W, 3]; outside of its mask it is bit-identical to `rgb`.

    Half of the forgeries cover less than 2 % of the picture. `objects` int[H, W] (0 = background) are instance labels
    of `rgb`, by which the forgery takes the shapes of objects; `donor` uint8[h, w, 3] is another picture to splice
    from, `donor_objects` its labels. `kind` is one of `KINDS`; left out, kinds are tried in random order (splices with
    a donor only) until one works on this picture.

    Lay `draw_recompression`, drawn once, on forged and authentic pictures alike, or compression tells them apart.
    Raises `ForgeError` where nothing works, and `ValueError` for what does not fit together.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"a picture is uint8[H, W, 3], not {rgb.dtype}{list(rgb.shape)}")
    for labels, picture in ((objects, rgb), (donor_objects, donor)):
        if labels is not None and (picture is None or labels.shape != picture.shape[:2]):
            raise ValueError("instance labels must be of their picture's size")
    if kind is not None and kind not in KINDS:
        raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}")
    if kind == "splice" and donor is None:
        raise ValueError("a splice needs a donor")
    kinds = [name for name in KINDS if name != "splice" or donor is not None] if kind is None else [kind]
    problem: ForgeError | None = None
    for name in rng.permutation(kinds):
        try:
            if name == "splice":
                assert donor is not None
                return splice(rgb, rng, donor, donor_objects)
            return {"copy_move": copy_move, "removal": removal, "retouch": retouch}[name](rgb, rng, objects)
        except ForgeError as error:
            problem = error
    assert problem is not None
    raise problem
