"""What the file says about itself: EXIF, quantisation tables, preview picture, content credentials (C2PA)."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
from PIL import ExifTags, Image

from interceptor.detect.evidence.credentials import describe_credentials
from interceptor.detect.evidence.maps import LEAST_AREA, EvidenceMap, share_above_half
from interceptor.detect.evidence.picture import Picture
from interceptor.media.stills import open_picture

NAME = "metadata"
LIMITS = (
    "Anyone can write or remove metadata. Agreement proves nothing; a contradiction shows that the file was processed, "
    "which cropping and most websites do, too."
)
EDITORS = (
    "photoshop", "lightroom", "gimp", "affinity", "pixelmator", "snapseed", "facetune", "meitu", "picsart", "canva",
    "paint.net", "capture one", "darktable", "luminar", "imagemagick",
    "stable diffusion", "midjourney", "dall", "firefly",
)  # fmt: skip
"""Words in the Software field that name a program for editing or making pictures."""
MAKE, MODEL, SOFTWARE, MODIFIED = 0x010F, 0x0110, 0x0131, 0x0132
TAKEN, EXIF_WIDTH, EXIF_HEIGHT = 0x9003, 0xA002, 0xA003
FULL_DIFFERENCE = 0.3
"""Difference of the preview's brightness, as a share of the whole range, that is drawn at full brightness."""
STANDARD_LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
"""ITU-T T.81, table K.1."""


def standard_quality(table: np.ndarray) -> int | None:
    """The quality (1 to 100) at which libjpeg makes this luma table out of the standard's, or None."""
    for quality in range(1, 101):
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        if np.array_equal(np.clip((STANDARD_LUMA * scale + 50) // 100, 1, 255), table):
            return quality
    return None


def metadata(picture: Picture) -> EvidenceMap:
    """What the metadata say and where they contradict the pixels. `values` show where the preview picture differs."""
    image = open_picture(picture.path)
    assert image is not None  # it was read a moment ago
    sentences: list[str] = []
    measures: dict[str, float] = {}
    values = None
    with image:
        for look in (_exif, _tables):
            said, found = look(image, picture)
            sentences += said
            measures |= found
        preview, problem = _preview(image)
    sentences += problem
    if preview is not None:
        values = preview_difference(picture.luma, preview)
        measures["preview_differs"] = share_above_half(values)
        sentences.append(
            f"The preview picture inside the file differs from the picture in {measures['preview_differs']:.1%} of "
            "the area."
            if measures["preview_differs"] > LEAST_AREA
            else "The preview picture inside the file agrees with the picture."
        )
    said, found = describe_credentials(picture.path)
    return EvidenceMap(NAME, values, " ".join([*sentences, *said]), LIMITS, measures=measures | found)


def _exif(image: Image.Image, picture: Picture) -> tuple[list[str], dict[str, float]]:
    try:
        fields: dict[int, Any] = dict(image.getexif()) | image.getexif().get_ifd(ExifTags.IFD.Exif)
    except Exception as error:  # damaged EXIF can raise anything inside the parser
        return [f"The EXIF data are damaged and were not read ({type(error).__name__})."], {"exif_damaged": 1.0}
    if not fields and image.info.get("exif"):
        return ["The EXIF data are damaged or empty: nothing in them could be read."], {"exif_damaged": 1.0}
    if not fields:
        return ["The file carries no EXIF data."], {"exif": 0.0}
    said, found = [], {"exif": 1.0}
    if camera := " ".join(_text(fields[tag]) for tag in (MAKE, MODEL) if tag in fields):
        said.append(f"EXIF names the camera {camera}.")
    if program := _text(fields.get(SOFTWARE, "")):
        edited = any(word in program.lower() for word in EDITORS)
        found["editor"] = float(edited)
        said.append(f"EXIF names the program {program}" + (", which edits or makes pictures." if edited else "."))
    taken, modified = _text(fields.get(TAKEN, "")), _text(fields.get(MODIFIED, ""))
    if taken and modified and taken != modified:
        found["dates_differ"] = 1.0
        said.append(f"It was taken at {taken} and modified at {modified}.")
    size = fields.get(EXIF_WIDTH), fields.get(EXIF_HEIGHT)
    if all(isinstance(side, int) and side > 0 for side in size):
        height, width = picture.shape
        if sorted(size) != sorted((width, height)):  # type: ignore[type-var]
            found["size_differs"] = 1.0
            said.append(
                f"EXIF gives {size[0]} x {size[1]} pixels, the picture has {width} x {height}: it was cropped or "
                "scaled since."
            )
    return said or ["The EXIF data say nothing about camera, program or size."], found


def _tables(image: Image.Image, picture: Picture) -> tuple[list[str], dict[str, float]]:
    if picture.luma_table is None:
        return [f"No quantisation tables to compare: {picture.no_jpeg}."], {}
    quality = standard_quality(picture.luma_table)
    if quality is None:
        said = (
            "The JPEG's tables are not libjpeg's standard ones, which most free programs and websites write: cameras, "
            "telephones and commercial editors use their own."
        )
        return [said], {"standard_tables": 0.0}
    said = f"The JPEG's tables are libjpeg's standard ones for quality {quality}, which cameras seldom write."
    return [said], {"standard_tables": 1.0, "quality": float(quality)}


def preview_difference(luma: np.ndarray, preview: np.ndarray) -> np.ndarray:
    """Where the preview shows something else: `luma` float32[H, W], `preview` uint8[h, w] grey; float32[H, W] 0..1.

    Black bars of a preview with other proportions are cut off. Both are compared at the preview's size, slightly
    blurred, with overall brightness and contrast matched, since cameras sharpen and tone the two differently.
    """
    height, width = luma.shape
    rows, columns = preview.shape
    used_rows, used_columns = min(rows, round(columns * height / width)), min(columns, round(rows * width / height))
    top, left = (rows - used_rows) // 2, (columns - used_columns) // 2
    small = np.float32(preview[top : top + max(1, used_rows), left : left + max(1, used_columns)])
    shrunk = cv2.resize(luma, small.shape[::-1], interpolation=cv2.INTER_AREA)
    small, shrunk = (cv2.GaussianBlur(part, (0, 0), 1.5) for part in (small, shrunk))
    matched = (small - small.mean()) * (shrunk.std() / max(small.std(), 1.0)) + shrunk.mean()
    difference = np.minimum(np.abs(matched - shrunk) / (255 * FULL_DIFFERENCE), 1)
    return np.clip(cv2.resize(difference, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)


def _preview(image: Image.Image) -> tuple[np.ndarray | None, list[str]]:
    """The preview picture inside EXIF, uint8[h, w] grey, or None; and what to say where there is one of no use."""
    try:
        directory: dict[int, Any] = image.getexif().get_ifd(ExifTags.IFD.IFD1)
    except Exception:  # the same damage that `_exif` tells of
        return None, []
    start, length = directory.get(0x0201), directory.get(0x0202)
    block = image.info.get("exif", b"")
    if not isinstance(start, int) or not isinstance(length, int) or not block:
        return None, []
    offset = 6 if block.startswith(b"Exif\0\0") else 0
    try:
        with Image.open(io.BytesIO(block[offset + start : offset + start + length]), formats=("JPEG",)) as preview:
            return np.array(preview.convert("L")), []
    except Exception:  # a damaged preview can raise anything inside the decoder
        return None, ["The preview picture inside the file is damaged and was not compared."]


def _text(value: object) -> str:
    """A field as one printable line of at most 60 characters: files come from anywhere."""
    return "".join(c if c.isprintable() else " " for c in str(value)).strip()[:60]
