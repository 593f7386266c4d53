"""Pictures: any of the common formats to RGB as displayed."""

from __future__ import annotations

import os
import struct
import threading

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from interceptor.media.container import read_head
from interceptor.media.errors import MediaError

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000", "PPM")
"""Formats that are tried; Pillow knows more, some of which start other programs."""

SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")

MAX_SIDE = 20_000
"""Pictures of this many pixels a side, or more, are refused."""
MAX_PIXELS = 200_000_000

BAND = 256
"""Rows that are brought to 8 bits at a time."""

TURNS = {3: 180, 4: 180, 5: 270, 6: 90, 7: 90, 8: 270}
"""EXIF orientation to degrees clockwise; 2, 4, 5 and 7 are mirrored left to right as well."""

_limit_lock = threading.Lock()


def open_picture(path: str | os.PathLike[str]) -> Image.Image | None:
    """The picture, header read and pixels not yet; None where the content is no picture. The caller closes it.

    Raises `MediaError`: `too_large`, `no_pixels`, `undecodable` or `truncated`, beside the causes of `read_head`.
    """
    _, head = read_head(path)
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1") and b"avif" not in head[:64]:
        raise MediaError(path, "undecodable", "HEIC pictures are not read: convert it to JPEG or PNG")
    if not _looks_like_picture(head):
        return None
    try:
        with _limit_lock:  # our limit is checked below; Pillow's own is a global
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(path, formats=FORMATS)
            finally:
                Image.MAX_IMAGE_PIXELS = limit
    except UnidentifiedImageError as error:
        if _declares_no_pixels(head):
            raise MediaError(path, "no_pixels", "the picture has a size of 0 x 0") from error
        message = "the picture's header is cut short, damaged, or of a kind that is not read"
        raise MediaError(path, "truncated", message) from error
    except Exception as error:  # a damaged header can raise anything inside a format's parser
        raise MediaError(path, "undecodable", f"the picture cannot be read: {error}") from error
    width, height = image.size
    if width >= MAX_SIDE or height >= MAX_SIDE or width * height > MAX_PIXELS:
        image.close()
        limit_text = f"below {MAX_SIDE:,} pixels a side and at most {MAX_PIXELS // 10**6} megapixels"
        raise MediaError(path, "too_large", f"{width:,} x {height:,} pixels; the limit is {limit_text}: scale it down")
    return image


def read_still(path: str | os.PathLike[str]) -> np.ndarray:
    """A picture (or the first frame of an animation) as displayed: uint8[H, W, 3] RGB, C-contiguous.

    EXIF orientation is applied, transparency is laid on white, 16 bits are scaled to 8; colour profiles are ignored.

    Raises `MediaError`: `not_media` where the content is no picture, `truncated`, `too_large` where memory does not
    suffice, and the causes of `open_picture`.
    """
    image = open_picture(path)
    if image is None:
        raise MediaError(path, "not_media", "this is not a picture")
    with image:
        try:
            return to_rgb(image)
        except MemoryError as error:
            width, height = image.size
            message = f"not enough memory to decode {width:,} x {height:,} pixels: scale it down"
            raise MediaError(path, "too_large", message) from error
        except Exception as error:  # decoders raise anything, from OSError to struct.error
            cause = "truncated" if "truncated" in str(error) else "undecodable"
            raise MediaError(path, cause, f"the picture cannot be decoded: {error}") from error


def to_rgb(image: Image.Image) -> np.ndarray:
    """The current frame of an open picture as displayed: uint8[H, W, 3] RGB. Raises whatever the decoder raises."""
    image.load()
    if orientation(image) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        return np.repeat(_eight_bits(np.asarray(image))[..., None], 3, axis=2)
    if image.has_transparency_data:
        image = _on_white(image if image.mode == "RGBA" else image.convert("RGBA"))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _on_white(rgba: Image.Image) -> Image.Image:
    white = Image.new("RGB", rgba.size, "white")
    white.paste(rgba, mask=rgba.getchannel("A"))
    return white


def _eight_bits(grey: np.ndarray) -> np.ndarray:
    """Integers of 16 bits, wider ones and floats to uint8[H, W].

    16 bits are scaled by 257. Floats within 0..1 are scaled by 255. Wider values have no scale of their own: their
    minimum becomes 0 and their maximum 255.
    """
    if grey.dtype == np.uint16:
        return ((np.arange(65536) + 128) // 257).astype(np.uint8)[grey]
    tops = range(0, len(grey), BAND)  # in bands, as doubles of a large picture are very large

    def values(top: int) -> np.ndarray:
        return np.nan_to_num(grey[top : top + BAND].astype(np.float64))

    low, high = min(values(top).min() for top in tops), max(values(top).max() for top in tops)
    if grey.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scale = 255 / max(high - low, 1e-12)
    return np.concatenate([np.round((values(top) - low) * scale).astype(np.uint8) for top in tops])


def bit_depth(image: Image.Image, head: bytes) -> int:
    """Bits per channel in the file. `head` is its first bytes."""
    if image.mode == "1":
        return 1
    if image.mode in ("I", "F"):
        return 32
    if image.format == "AVIF" and (found := head.find(b"pixi")) >= 0:
        return head[found + 9]
    if image.format == "PNG":
        return head[24]
    stored = str([tile[3] for tile in getattr(image, "tile", [])])  # such as "RGB;16B"
    return 16 if ";16" in image.mode + stored else 8


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or its block is damaged."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # a damaged EXIF block can raise anything; the pixels do not depend on it
        return 1


def _looks_like_picture(head: bytes) -> bool:
    """By the signatures of `FORMATS`."""
    if head[:2] == b"BM":
        return head[15:18] == bytes(3)  # the size of its header, which is below 256
    if head[:1] == b"P" and head[1:2] in b"123456":
        return head[2:3].isspace()
    if head[4:8] == b"ftyp":
        return head[8:12] == b"avif" or (head[8:12] == b"mif1" and b"avif" in head[16:64])
    return head[8:12] == b"WEBP" or head.startswith(SIGNATURES)


def _declares_no_pixels(head: bytes) -> bool:
    """True for a PNG, GIF, BMP or JPEG whose header states a width or height of 0."""
    try:
        if head.startswith(b"\x89PNG"):
            return 0 in struct.unpack(">II", head[16:24])
        if head.startswith(b"GIF8"):
            return 0 in struct.unpack("<HH", head[6:10])
        if head.startswith(b"BM"):
            return 0 in struct.unpack("<ii", head[18:26])
        at = 2
        while head.startswith(b"\xff\xd8") and head[at] == 0xFF:
            if head[at + 1] in (0xC0, 0xC1, 0xC2):
                return 0 in struct.unpack(">HH", head[at + 5 : at + 9])
            at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    except (struct.error, IndexError):
        pass
    return False
