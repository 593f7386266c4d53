"""Masks on disk: what a set's mask files mean, read as instances.

| convention | forged is | files |
|---|---|---|
| `binary` | not 0; beside it only 1, 255 or 65535 may occur | pictures, or `.npy` of shape (N, H, W) or (H, W) |
| `white` | lighter than mid-grey: masks with soft edges or JPEG noise | pictures |
| `black` | darker than mid-grey | pictures |
| `green` | more green than red | pictures |

Planes of an array are instances; a picture is one instance.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interceptor.media.errors import MediaError
from interceptor.media.stills import open_picture

CONVENTIONS = ("binary", "white", "black", "green")
FULL = (1, 255, 65535)
"""What stands for forged in a binary mask beside 0."""


class MaskError(Exception):
    """A mask that cannot be used.

    `cause` is `mask_unreadable`, `mask_shape` (an array of other than two or three axes) or `mask_values` (values that
    the convention does not know).
    """

    def __init__(self, path: Path, cause: str, message: str) -> None:
        super().__init__(path, cause, message)
        self.path, self.cause, self.message = path, cause, message

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def read_instances(path: Path, convention: str = "binary") -> NDArray[np.bool_]:
    """The instances of a mask file, bool[k, H, W], those without a pixel left out (so k is 0 for an all-black mask).

    Raises `MaskError`, and `ValueError` for a convention that does not exist.
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"mask convention {convention!r} is none of {', '.join(CONVENTIONS)}")
    values = read_array(path) if path.suffix.lower() == ".npy" else _picture_values(path, convention)
    if values.ndim not in (2, 3) or 0 in values.shape[-2:]:
        raise MaskError(path, "mask_shape", f"a mask is of shape (N, H, W) or (H, W), not {values.shape}")
    planes = values.reshape(-1, *values.shape[-2:])
    if planes.dtype != np.bool_:
        planes = _binary(path, planes)
    return planes[planes.any(axis=(1, 2))]


def joined(instances: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool[k, H, W] joined by maximum: bool[H, W], the mask of training and of the pixel measures."""
    return np.logical_or.reduce(instances)


def read_array(path: Path) -> NDArray[Any]:
    """The array in a `.npy` file; nothing is unpickled. Raises `MaskError`."""
    try:
        array = np.load(path, allow_pickle=False)
    except Exception as error:  # a damaged header can raise anything
        raise MaskError(path, "mask_unreadable", f"not a readable array of numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        raise MaskError(path, "mask_unreadable", f"not an array of numbers, but of {array.dtype}")
    return array


def _picture_values(path: Path, convention: str) -> NDArray[Any]:
    """[H, W]: booleans, or for `binary` the values as they are."""
    try:
        image = open_picture(path)
        if image is None:
            raise MaskError(path, "mask_unreadable", "this is neither a picture nor a .npy file")
        with image:
            if convention == "binary" and not image.mode.startswith(("1", "L", "I", "F")):
                colours = np.asarray(image.convert("RGB"))
                if (colours != colours[..., :1]).any():
                    raise MaskError(path, "mask_values", "the mask has colours; is it of another convention?")
                return colours[..., 0]
            if convention == "binary":
                grey = np.asarray(image)
                return grey if grey.ndim == 2 else grey[..., 0]  # "LA" has transparency beside its grey
            rgb = np.asarray(image.convert("RGB")).astype(np.int16)
    except (MediaError, OSError, ValueError, SyntaxError) as error:
        raise MaskError(path, "mask_unreadable", f"not a readable picture: {error}") from error
    if convention == "green":
        return rgb[..., 1] > rgb[..., 0]
    grey = np.mean(rgb, axis=2)
    return grey > 127.5 if convention == "white" else grey < 127.5


def _binary(path: Path, values: NDArray[Any]) -> NDArray[np.bool_]:
    found = np.unique(values)
    others = found[found != 0]
    if len(others) > 1 or (len(others) == 1 and others[0] not in FULL):
        shown = ", ".join(f"{value:g}" for value in found[:6]) + (", ..." if len(found) > 6 else "")
        message = f"a binary mask holds 0 and one of {FULL}, not {shown}: is it of another convention?"
        raise MaskError(path, "mask_values", message)
    return values != 0
