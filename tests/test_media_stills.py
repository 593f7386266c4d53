from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from interceptor.media import MediaError, probe, read_still

ROWS, COLUMNS = np.mgrid[:64, :96]
GRADIENT = np.stack([COLUMNS * 2, ROWS * 3, np.full_like(ROWS, 77)], -1).astype(np.uint8)


def cause(path: Path) -> str:
    with pytest.raises(MediaError) as raised:
        read_still(path)
    assert str(path) in str(raised.value)
    with pytest.raises(MediaError) as probed:
        probe(path)
    assert probed.value.cause == raised.value.cause
    return raised.value.cause


def png_of_size(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "BMP", "PPM", "JPEG", "AVIF"])
def test_formats(tmp_path: Path, format: str) -> None:
    path = tmp_path / "named.wrongly"
    Image.fromarray(GRADIENT).save(path, format, **({"lossless": True} if format == "WEBP" else {"quality": 95}))
    rgb = read_still(path)
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    assert np.abs(rgb.astype(int) - GRADIENT).max() <= (12 if format in ("JPEG", "AVIF") else 0)
    info = probe(path)
    assert (info.kind, info.width, info.height, info.frames, info.bit_depth) == ("picture", 96, 64, 1, 8)
    assert info.container == format.lower()
    assert info.size == path.stat().st_size


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, format: str, orientation: int) -> None:
    shown = np.zeros((64, 96, 3), np.uint8)
    shown[:32, :48], shown[:32, 48:], shown[32:, :48] = 255, (200, 0, 0), (0, 0, 200)
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transposes from the shown picture to the stored one
    stored = Image.fromarray(shown)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a", format, exif=exif, quality=98)
    assert np.abs(read_still(tmp_path / "a").astype(int) - shown).mean() < 3
    info = probe(tmp_path / "a")
    assert (info.width, info.height) == (96, 64)
    assert info.rotation in ((0, 180) if orientation < 5 else (90, 270))


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_are_scaled_not_clipped(tmp_path: Path, suffix: str, channels: int) -> None:
    ramp = np.linspace(0, 65535, 64 * 96).astype(np.uint16).reshape(64, 96)
    values = ramp if channels == 1 else np.stack([ramp] * 3 + [np.full_like(ramp, 65535)] * (channels - 3), -1)
    cv2.imwrite(str(tmp_path / f"a.{suffix}"), values)
    rgb = read_still(tmp_path / f"a.{suffix}")
    assert np.abs(rgb.astype(int) - np.round(ramp / 257)[..., None]).max() <= 1
    assert probe(tmp_path / f"a.{suffix}").bit_depth == 16


def test_floats_and_wide_integers(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 64 * 96, dtype=np.float32).reshape(64, 96)
    expected = np.round(ramp * 255)[..., None]
    for values in (ramp, ramp * 1000 - 300, (ramp * 1e6).astype(np.int32)):
        Image.fromarray(values).save(tmp_path / "a.tif")
        assert np.abs(read_still(tmp_path / "a.tif") - expected).max() <= 1
        assert probe(tmp_path / "a.tif").bit_depth == 32
    Image.fromarray(ramp * 0.5).save(tmp_path / "a.tif")
    assert read_still(tmp_path / "a.tif").max() == 128  # 0..1 is a scale of its own


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_is_laid_on_white(tmp_path: Path, mode: str) -> None:
    alpha = np.zeros((64, 96), np.uint8)
    alpha[:, 48:] = 255
    grey = np.full((64, 96), 40, np.uint8)
    image = Image.merge("RGBA", [Image.fromarray(x) for x in (grey, grey, grey, alpha)])
    if mode == "PA":
        image.quantize(4).save(tmp_path / "a.png")
    else:
        image.convert(mode).save(tmp_path / "a.png")
    rgb = read_still(tmp_path / "a.png")
    assert (rgb[:, :48] == 255).all()
    assert np.abs(rgb[:, 48:].astype(int) - 40).max() <= 1


def test_transparent_palette_colour(tmp_path: Path) -> None:
    image = Image.fromarray(np.repeat([[0, 1]], 8, axis=0).astype(np.uint8), "P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.save(tmp_path / "a.png", transparency=0)
    assert read_still(tmp_path / "a.png")[0].tolist() == [[255, 255, 255], [200, 100, 50]]


def test_one_bit_grey_and_palette(tmp_path: Path) -> None:
    checker = np.indices((64, 96)).sum(0) % 2 * 255
    Image.fromarray(checker.astype(np.uint8)).convert("1").save(tmp_path / "a.png")
    assert (read_still(tmp_path / "a.png") == checker[..., None]).all()
    assert probe(tmp_path / "a.png").bit_depth == 1
    Image.fromarray(GRADIENT[..., 0]).save(tmp_path / "b.png")
    assert (read_still(tmp_path / "b.png") == GRADIENT[..., :1]).all()
    Image.fromarray(GRADIENT).quantize(256).save(tmp_path / "c.gif")
    assert np.abs(read_still(tmp_path / "c.gif").astype(int) - GRADIENT).mean() < 8


def test_cmyk(tmp_path: Path) -> None:
    """Adobe's JPEGs store CMYK inverted; both ways must come out the same."""
    red = Image.new("CMYK", (32, 32), (0, 255, 255, 0))
    red.save(tmp_path / "adobe.jpg", quality=100)
    assert b"Adobe" in (tmp_path / "adobe.jpg").read_bytes()
    red.save(tmp_path / "plain.tif")
    for name in ("adobe.jpg", "plain.tif"):
        assert np.abs(read_still(tmp_path / name).astype(int) - (255, 0, 0)).max() <= 6


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (20_000, 1), (1, 30_000), (15_000, 15_000)])
def test_too_large_is_refused_before_decoding(tmp_path: Path, width: int, height: int) -> None:
    (tmp_path / "a.png").write_bytes(png_of_size(width, height))
    assert cause(tmp_path / "a.png") == "too_large"


def test_within_the_limit_is_not_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_of_size(19_999, 10_000))
    assert probe(tmp_path / "a.png").width == 19_999


def test_no_pixels(tmp_path: Path) -> None:
    gif = b"GIF89a" + struct.pack("<HH", 0, 0) + bytes(3) + b";"
    bmp = b"BM" + bytes(12) + struct.pack("<IiiHH", 40, 0, 0, 1, 24) + bytes(24)
    buffer = io.BytesIO()
    Image.fromarray(GRADIENT).save(buffer, "JPEG")
    jpeg = bytearray(buffer.getvalue())
    start = jpeg.index(b"\xff\xc0")
    jpeg[start + 5 : start + 9] = bytes(4)
    for data in (png_of_size(0, 0), gif, bmp, bytes(jpeg)):
        (tmp_path / "a").write_bytes(data)
        assert cause(tmp_path / "a") == "no_pixels"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
def test_cut_short(tmp_path: Path, format: str) -> None:
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (64, 96, 3), dtype=np.uint8)).save(buffer, format)
    data = buffer.getvalue()
    (tmp_path / "a").write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError) as raised:
        read_still(tmp_path / "a")
    assert raised.value.cause in ("truncated", "undecodable")
    assert raised.value.message


def test_heic_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    assert cause(tmp_path / "a.jpg") == "undecodable"


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_raise_nothing_else(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    format = data.draw(st.sampled_from(["JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF", "JPEG2000", "PPM"]))
    Image.fromarray(GRADIENT[:16, :16]).save(buffer, format)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "a"
    path.write_bytes(content)
    for function in (probe, read_still):
        with suppress(MediaError):
            function(path)
