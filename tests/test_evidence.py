from __future__ import annotations

import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from interceptor.cli import app
from interceptor.detect.evidence import MAPS, EvidenceMap, gather_evidence, read_picture
from interceptor.detect.evidence.dct import block_dct
from interceptor.detect.evidence.metadata import preview_difference, standard_quality
from interceptor.detect.evidence.votes import grid_votes, window_zeros
from interceptor.media import MediaError
from interceptor.media.ela import ela
from interceptor.metrics.classification import roc_auc
from interceptor.report.evidence import GAP, beside_overlay
from picture_forger import FORGERIES, Saved, jpeg, scene

REGION = (slice(140, 300), slice(210, 400))
LEAST_AUC = {"error_level": 0.85, "ghosts": 0.9, "blockgrid": 0.9}


def look(name: str, data: bytes, folder: Path) -> EvidenceMap:
    path = folder / "picture"
    path.write_bytes(data)
    return MAPS[name](read_picture(path))


@pytest.mark.parametrize("name", FORGERIES)
def test_a_map_shows_its_forgery_and_is_quiet_on_the_authentic_twin(tmp_path: Path, name: str) -> None:
    forge, saved = FORGERIES[name]
    authentic, forged = forge(scene(0), scene(1), REGION)
    mask = np.zeros(authentic.shape[:2], bool)
    mask[REGION] = True
    quiet, found = (look(name, saved.bytes(rgb), tmp_path).values for rgb in (authentic, forged))
    assert quiet is not None
    assert found is not None
    assert found.shape == mask.shape
    assert found.dtype == np.float32
    assert roc_auc(mask.ravel(), found.ravel()) > LEAST_AUC.get(name, 0.95)
    assert np.mean(quiet > 0.5) < 0.01
    if name == "error_level":  # has no point from which it speaks
        assert found[mask].mean() > 2 * found[~mask].mean()
    else:
        assert np.mean(found[mask] > 0.5) > 0.4
        assert np.mean(found[~mask] > 0.5) < 0.05


@pytest.mark.parametrize("name", FORGERIES)
def test_captions_say_where_to_look_only_where_something_is_seen(tmp_path: Path, name: str) -> None:
    forge, saved = FORGERIES[name]
    captions = [look(name, saved.bytes(rgb), tmp_path).caption for rgb in forge(scene(2), scene(3), REGION)]
    if name != "error_level":
        assert ["bright regions" in caption for caption in captions] == [False, True], captions


def test_maps_that_need_a_jpeg_say_so(tmp_path: Path) -> None:
    found = look("quantisation", Saved("PNG").bytes(scene(0)), tmp_path)
    assert found.values is None
    assert found.abstained == "the file is not a JPEG but PNG"
    cmyk = io.BytesIO()
    Image.fromarray(scene(0)).convert("CMYK").save(cmyk, "JPEG")
    assert "CMYK" in (look("quantisation", cmyk.getvalue(), tmp_path).abstained or "")


def test_a_scaled_camera_picture_has_no_demosaicing_to_look_at(tmp_path: Path) -> None:
    mosaicked, _ = FORGERIES["demosaic"][0](scene(0), scene(1), REGION)
    smaller = cv2.resize(mosaicked, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    assert "no traces of demosaicing" in (look("demosaic", Saved("PNG").bytes(smaller), tmp_path).abstained or "")


def test_a_picture_that_was_enlarged_as_a_whole_is_not_a_local_finding(tmp_path: Path) -> None:
    larger = cv2.resize(scene(0), None, fx=1.3, fy=1.3, interpolation=cv2.INTER_CUBIC)
    found = look("resampling", Saved("PNG").bytes(larger), tmp_path)
    assert found.measures["whole_period"] == pytest.approx(1 / (1 - 1 / 1.3), rel=0.05)
    assert found.measures["resampled_area"] < 0.01


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 5), (7, 1)])
def test_the_grid_of_a_cropped_jpeg_is_found(row: int, column: int) -> None:
    luma = cv2.cvtColor(jpeg(scene(0), 75), cv2.COLOR_RGB2GRAY)[row:, column:].astype(np.float32)
    votes = np.bincount(grid_votes(window_zeros(luma)).ravel(), minlength=65)[:64]
    assert divmod(int(votes.argmax()), 8) == (-row % 8, -column % 8)
    assert votes.max() > 0.5 * luma.size


def test_coefficients_are_those_of_the_file(tmp_path: Path) -> None:
    """Saved with tables of one step, coefficients of our own making come back as they were."""
    step, rng = 12, np.random.default_rng(0)
    wanted = np.zeros((8, 12, 8, 8), np.int16)
    wanted[..., :3, :3] = rng.integers(-5, 6, (8, 12, 3, 3))
    basis = cv2.dct(np.eye(8), flags=cv2.DCT_ROWS).T
    blocks = basis.T @ (wanted * float(step)) @ basis + 128
    grey = np.round(blocks.swapaxes(1, 2).reshape(64, 96)).astype(np.uint8)
    path = tmp_path / "own.jpg"
    Image.fromarray(grey).save(path, qtables=[[step] * 64])
    np.testing.assert_array_equal(read_picture(path).coefficients, wanted)
    assert np.abs(block_dct(np.float32(grey))[..., :3, :3] - wanted[..., :3, :3] * step).max() < 2


def test_coefficients_agree_with_jpeglib(tmp_path: Path) -> None:
    jpeglib = pytest.importorskip("jpeglib")
    path = tmp_path / "picture.jpg"
    Image.fromarray(scene(0)).save(path, quality=80)
    ours, theirs = read_picture(path).coefficients, jpeglib.read_dct(str(path)).Y
    assert np.mean(ours == theirs) > 0.999


@pytest.mark.parametrize("orientation", range(1, 9))
def test_maps_are_turned_as_the_picture_is_displayed(tmp_path: Path, orientation: int) -> None:
    _, forged = FORGERIES["noise"][0](scene(0), scene(1), (slice(0, 200), slice(0, 300)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    Image.fromarray(forged).save(path, exif=exif)
    picture = read_picture(path)
    values = MAPS["noise"](picture).values
    assert values is not None
    values = picture.displayed(values)
    # The stored top left corner, where it is displayed: (bottom, right).
    corner = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[orientation]
    halves = [part.mean() for half in np.array_split(values, 2, 0) for part in np.array_split(half, 2, 1)]
    assert np.argmax(halves) == 2 * corner[0] + corner[1]
    assert values.shape == ((512, 640) if orientation < 5 else (640, 512))


@given(height=st.integers(1, 40), width=st.integers(1, 40), quality=st.integers(1, 100), grey=st.integers(0, 255))
@settings(max_examples=40, deadline=None)
def test_ela_has_the_pictures_shape_and_is_small_where_nothing_is(
    height: int, width: int, quality: int, grey: int
) -> None:
    level = ela(np.full((height, width, 3), grey, np.uint8), quality)
    assert level.shape == (height, width)
    assert level.dtype == np.uint8
    if quality >= 50:
        assert level.max() <= 4


def test_ela_refuses_what_is_no_picture() -> None:
    for wrong in (np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3)), np.zeros((0, 5, 3), np.uint8)):
        with pytest.raises(ValueError, match="uint8"):
            ela(wrong)
    with pytest.raises(ValueError, match="quality"):
        ela(np.zeros((5, 5, 3), np.uint8), 0)


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 51, 75, 92, 99])
def test_standard_tables_are_known_by_their_quality(tmp_path: Path, quality: int) -> None:
    path = tmp_path / "picture.jpg"
    Image.fromarray(scene(0, 64, 64)).save(path, quality=quality)
    table = read_picture(path).luma_table
    assert table is not None
    assert standard_quality(table) == quality
    assert standard_quality(table + 1) is None


def test_metadata_report_contradictions(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131], exif[0x0132] = (
        "Maker",
        "One",
        "Adobe Photoshop 25.0",
        "2024:05:02 10:00:00",
    )
    exif.get_ifd(0x8769).update({0x9003: "2024:05:01 09:00:00", 0xA002: 4000, 0xA003: 3000})
    path = tmp_path / "edited.jpg"
    Image.fromarray(scene(0)).save(path, quality=87, exif=exif)
    found = MAPS["metadata"](read_picture(path))
    for words in (
        "camera Maker One",
        "Photoshop 25.0, which edits",
        "modified at",
        "4000 x 3000",
        "quality 87",
        "no content",
    ):
        assert words in found.caption
    assert found.measures == {
        "exif": 1, "editor": 1, "dates_differ": 1, "size_differs": 1, "standard_tables": 1, "quality": 87, "c2pa": 0,
    }  # fmt: skip


def test_a_preview_of_another_picture_is_shown(tmp_path: Path) -> None:
    whole = scene(0)
    forged = whole.copy()
    forged[REGION] = 255 - forged[REGION] // 3
    small = cv2.resize(whole, (160, 128), interpolation=cv2.INTER_AREA)
    path = tmp_path / "preview.jpg"
    for shown, differs in ((whole, False), (forged, True)):
        path.write_bytes(with_preview(Saved("JPEG", {"quality": 90}).bytes(shown), jpeg_bytes(small)))
        found = MAPS["metadata"](read_picture(path))
        assert found.values is not None
        assert (found.measures["preview_differs"] > 0.03) == differs
    assert np.mean(found.values[REGION] > 0.5) > 0.7


def test_black_bars_of_a_preview_do_not_count() -> None:
    luma = scene(0, 400, 640)[..., 1].astype(np.float32)
    small = cv2.resize(luma, (160, 100), interpolation=cv2.INTER_AREA)
    barred = cv2.copyMakeBorder(small, 10, 10, 0, 0, cv2.BORDER_CONSTANT)
    assert preview_difference(luma, np.round(barred).astype(np.uint8)).max() < 0.2


def jpeg_bytes(rgb: np.ndarray) -> bytes:
    return Saved("JPEG", {"quality": 85}).bytes(rgb)


def with_preview(picture: bytes, preview: bytes) -> bytes:
    """A JPEG with an EXIF block that holds little but a thumbnail."""

    def entry(tag: int, value: int) -> bytes:
        return (
            tag.to_bytes(2, "little")
            + (4).to_bytes(2, "little")
            + (1).to_bytes(4, "little")
            + value.to_bytes(4, "little")
        )

    first = (
        b"II*\0"
        + (8).to_bytes(4, "little")
        + (1).to_bytes(2, "little")
        + entry(0x0100, 640)
        + (26).to_bytes(4, "little")
    )
    start = len(first) + 2 + 24 + 4
    second = (2).to_bytes(2, "little") + entry(0x0201, start) + entry(0x0202, len(preview)) + bytes(4)
    body = b"Exif\0\0" + first + second + preview
    return picture[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + picture[2:]


SMALL = scene(0, 160, 208)
ODD = {
    "16 bits": lambda: Image.fromarray(SMALL[..., 0].astype(np.uint16) * 257),
    "grey": lambda: Image.fromarray(SMALL[..., 0]),
    "palette": lambda: Image.fromarray(SMALL).quantize(64),
    "alpha": lambda: Image.fromarray(np.dstack([SMALL, SMALL[..., :1]])),
    "one colour": lambda: Image.new("RGB", (208, 160), (90, 90, 90)),
    "white": lambda: Image.new("RGB", (208, 160), "white"),
    "one pixel wide": lambda: Image.fromarray(SMALL[:, :1]),
    "one pixel high": lambda: Image.fromarray(SMALL[:1]),
    "one pixel": lambda: Image.new("RGB", (1, 1)),
    "not whole blocks": lambda: Image.fromarray(SMALL[:131, :203]),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_odd_pictures_give_maps_or_reasons(tmp_path: Path, kind: str, format: str) -> None:
    image = ODD[kind]()
    if format == "JPEG" and image.mode not in ("RGB", "L"):
        image = image.convert("CMYK" if kind == "alpha" else "L" if kind == "16 bits" else "RGB")
    path = tmp_path / "odd"
    image.save(path, format)
    for item in gather_evidence(path):
        assert item.caption
        assert item.limits
        assert all(np.isfinite(value) for value in item.measures.values())
        if item.values is not None:
            assert item.values.shape == (image.height, image.width)
            assert 0 <= item.values.min() <= item.values.max() <= 1
            if kind in ("one colour", "white"):
                assert item.values.max() < 0.5
        elif item.name != "metadata":
            assert item.abstained


def test_a_truncated_picture_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    path.write_bytes(jpeg_bytes(scene(0))[:9000])
    with pytest.raises(MediaError, match=r"cut\.jpg.*truncated"):
        gather_evidence(path)


def test_the_command_writes_maps_and_goes_on_after_an_error(tmp_path: Path) -> None:
    good, bad, out = tmp_path / "good.jpg", tmp_path / "bad.jpg", tmp_path / "out"
    good.write_bytes(jpeg_bytes(scene(0)))
    bad.write_text("no picture")
    done = CliRunner().invoke(app, ["evidence", str(bad), str(good), "--out", str(out), "--format", "json"])
    assert done.exit_code == 1
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first["error"]["cause"] == "not_media"
    assert "bad.jpg" in done.stderr
    assert second["error"] is None
    assert [item["name"] for item in second["maps"]] == list(MAPS)
    for item in second["maps"]:
        assert (item["file"] is None) == (item["abstained"] is not None or item["name"] == "metadata")
        if item["file"]:
            assert Image.open(item["file"]).size == (2 * 640 + GAP, 512)


def test_the_command_speaks_plainly(tmp_path: Path) -> None:
    path = tmp_path / "good.jpg"
    path.write_bytes(jpeg_bytes(scene(0)))
    done = CliRunner().invoke(app, ["evidence", str(path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0
    assert "good.jpg" in done.stdout
    assert all(f"{name}: " in done.stdout for name in MAPS)
    missing = CliRunner().invoke(app, ["evidence", str(tmp_path / "none.jpg"), "--out", str(tmp_path / "out")])
    assert missing.exit_code == 1


def test_overlay_leaves_the_picture_where_the_map_is_dark() -> None:
    rgb, values = scene(0, 64, 64), np.zeros((64, 64), np.float32)
    values[:, 32:] = 1
    both = beside_overlay(rgb, values)
    assert both.shape == (64, 128 + GAP, 3)
    overlay = both[:, 64 + GAP :].astype(int)
    np.testing.assert_array_equal(overlay[:, :32, 0], cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[:, :32])
    assert np.abs(overlay[:, 32:] - both[:, 32:64].astype(int)).mean() < 90


def test_a_manifest_is_found_without_the_package_that_checks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = b"JP\0\x01\0\0\0\x01\0\0\0\x2cjumb\0\0\0\x24jumdc2pa" + bytes(12) + b"\x03c2pa\0"
    plain = jpeg_bytes(SMALL)
    path = tmp_path / "signed.jpg"
    path.write_bytes(plain[:2] + b"\xff\xeb" + (len(box) + 2).to_bytes(2, "big") + box + plain[2:])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = MAPS["metadata"](read_picture(path))
    assert "interceptor[c2pa]" in found.caption
    assert found.measures["c2pa"] == 1
    assert "c2pa_valid" not in found.measures


def test_a_manifest_is_checked(tmp_path: Path) -> None:
    pytest.importorskip("c2pa", reason="needs the extra c2pa")
    pytest.importorskip("cryptography")
    from manifest_maker import sign

    plain, signed = tmp_path / "plain.jpg", tmp_path / "signed.jpg"
    plain.write_bytes(jpeg_bytes(SMALL))
    sign(plain, signed, "Test Newsroom")
    found = MAPS["metadata"](read_picture(signed))
    assert "they are intact; whether their signer can be trusted was not checked" in found.caption
    assert "Signed by Test Newsroom, made with test camera." in found.caption
    assert (found.measures["c2pa"], found.measures["c2pa_valid"]) == (1, 1)
    data = bytearray(signed.read_bytes())
    data[-300] ^= 1
    signed.write_bytes(data)
    broken = MAPS["metadata"](read_picture(signed))
    assert "broken" in broken.caption
    assert broken.measures["c2pa_valid"] == 0


def test_damaged_exif_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "damaged.jpg"
    Image.fromarray(scene(0)).save(path, quality=87, exif=b"Exif\0\0no TIFF header")
    found = next(item for item in gather_evidence(path) if item.name == "metadata")
    assert "EXIF data are damaged" in found.caption
    assert found.measures["exif_damaged"] == 1
