"""A picture as its file stores it: pixels, the JPEG's own luma plane, its tables and DCT coefficients."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from interceptor.detect.evidence.dct import BLOCK, block_dct
from interceptor.detect.evidence.votes import grid_votes, votes_of_blocks, window_zeros
from interceptor.media.errors import MediaError
from interceptor.media.stills import open_picture, orientation, to_rgb

JPEG_FORMATS = ("JPEG", "MPO")
AS_DISPLAYED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Picture:
    """Pixels before EXIF orientation: the JPEG grid and the Bayer mosaic lie as the file has them.

    `rgb` uint8[H, W, 3]; `luma` float32[H, W] 0..255: a JPEG's own luma plane, which is free of the rounding of the
    colour conversion, else BT.601 of `rgb`. `tables` are the JPEG's quantisation tables by number, uint16[8, 8], and
    `luma_table` is the one its luma was quantised with; None where the file is no JPEG with a luma plane, for the
    reason `no_jpeg`.
    """

    path: Path
    format: str
    rgb: np.ndarray
    luma: np.ndarray
    orientation: int
    tables: dict[int, np.ndarray]
    luma_table: np.ndarray | None
    no_jpeg: str

    @property
    def shape(self) -> tuple[int, int]:
        return self.luma.shape[0], self.luma.shape[1]

    @cached_property
    def coefficients(self) -> np.ndarray:
        """The quantised luma coefficients, int16[H // 8, W // 8, 8, 8].

        They are found again from the decoded luma plane: decoding rounds to whole grey levels, an error of 0.29 a
        coefficient, against quantisation steps of mostly 2 and more. Blocks with clipped pixels (0 or 255) are the
        exception, and steps of 1. `docs/evidence.md` compares with the coefficients in the file.
        """
        if self.luma_table is None:
            raise ValueError(f"{self.path}: {self.no_jpeg}")
        return np.round(block_dct(self.luma) / self.luma_table).astype(np.int16)

    @cached_property
    def zeros(self) -> np.ndarray:
        """Vanishing DCT coefficients of the window that begins at each pixel, uint8[H, W]; see `window_zeros`."""
        return window_zeros(self.luma)

    @cached_property
    def grid_counts(self) -> np.ndarray:
        """How many pixels of each 8 x 8 block vote for each place of JPEG's grid, float32[64, H // 8, W // 8]."""
        return votes_of_blocks(grid_votes(self.zeros))

    def displayed(self, values: np.ndarray) -> np.ndarray:
        """A map float32[H, W] turned as the picture is displayed."""
        if self.orientation not in AS_DISPLAYED:
            return values
        return np.array(Image.fromarray(np.float32(values)).transpose(AS_DISPLAYED[self.orientation]))


def read_picture(path: str | os.PathLike[str], rgb: np.ndarray | None = None) -> Picture:
    """A picture with all that its file says; `rgb` uint8[H, W, 3] are its pixels as displayed, if decoded already.

    Raises `MediaError` as `interceptor.media.read_still` does.
    """
    image = open_picture(path)
    if image is None:
        raise MediaError(path, "not_media", "this is not a picture")
    with image:
        turned = orientation(image)
        tables, luma_table, no_jpeg = _jpeg_tables(image)
        try:
            rgb = _stored(to_rgb(image) if rgb is None else rgb, turned)
            luma = _stored_luma(path) if luma_table is not None else cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        except Exception as error:  # decoders raise anything, from OSError to struct.error
            cause = "truncated" if "truncated" in str(error) else "undecodable"
            raise MediaError(path, cause, f"the picture cannot be decoded: {error}") from error
        return Picture(
            Path(path), image.format or "", rgb, luma.astype(np.float32), turned, tables, luma_table, no_jpeg
        )


def _stored(rgb: np.ndarray, turned: int) -> np.ndarray:
    """uint8[H, W, 3] as displayed to the pixels as stored; most orientations undo themselves."""
    if turned not in AS_DISPLAYED:
        return rgb
    return np.array(Image.fromarray(rgb).transpose(AS_DISPLAYED[{6: 8, 8: 6}.get(turned, turned)]))


def _stored_luma(path: str | os.PathLike[str]) -> np.ndarray:
    """uint8[H, W]: what the decoder holds before it converts colours."""
    image = open_picture(path)
    assert image is not None  # it was a picture a moment ago
    with image:
        image.draft("L", image.size)
        return np.array(image)


def _jpeg_tables(image: Image.Image) -> tuple[dict[int, np.ndarray], np.ndarray | None, str]:
    """Quantisation tables, the luma's one or None, and why it is None."""
    if image.format not in JPEG_FORMATS:
        return {}, None, f"the file is not a JPEG but {image.format}"
    stored: dict[int, list[int]] = getattr(image, "quantization", {})
    tables = {number: np.array(values, np.uint16).reshape(BLOCK, BLOCK) for number, values in stored.items()}
    if image.mode not in ("L", "RGB"):
        return tables, None, f"the JPEG holds {image.mode} colours, which have no luma plane"
    if image.mode == "RGB" and image.info.get("adobe_transform") == 0:
        return tables, None, "the JPEG stores red, green and blue, and no luma plane"
    number = getattr(image, "layer", [(0, 0, 0, 0)])[0][3]
    if number not in tables:
        return tables, None, "the JPEG has no quantisation table for its luma"
    return tables, tables[number], ""
