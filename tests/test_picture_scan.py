"""A still picture through the whole scan: copied regions decide, and the report shows them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import cv2
import numpy as np
import pytest
from PIL import Image

from interceptor.detect.localize import Instance, Localization
from interceptor.detect.picture import PictureScanner, copied_probability, counts
from interceptor.detect.result import Altered, AlteredRegion, PictureResult
from interceptor.detect.scan import Scanner
from interceptor.media.stills import to_rgb
from interceptor.report.html import render_html
from interceptor.runtime.weights import WeightError


def textured(seed: int = 0, side: int = 420) -> np.ndarray:
    """Blobs of several sizes: something to match everywhere, nothing twice."""
    random = np.random.default_rng(seed)
    layers = [cv2.GaussianBlur(random.normal(0, 40 * s, (side, side)), (0, 0), s) for s in (1.5, 3, 6, 12)]
    grey = np.clip(128 + sum(layers), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, 2)


@pytest.fixture(scope="module")
def picture_scanner() -> Scanner:
    return Scanner(evidence=True)


def test_a_copied_region_makes_a_picture_forged(picture_scanner: Scanner, tmp_path: Path) -> None:
    rgb = textured()
    rgb[250:350, 270:370] = rgb[40:140, 30:130]
    Image.fromarray(rgb).save(tmp_path / "copied.png")
    result = picture_scanner.scan(tmp_path / "copied.png")
    assert result.verdict == "forged"
    assert result.probability == pytest.approx(copied_probability())
    assert result.picture is not None
    [pair] = result.picture.copied
    for region, (left, top) in ((pair.source, (30, 40)), (pair.target, (270, 250))):
        assert np.abs(np.array(region.box) - (left, top, left + 100, top + 100)).max() < 20
    assert abs(pair.angle) < 2
    assert pair.scale == pytest.approx(1, abs=0.03)
    assert not pair.flip
    assert "occurs twice" in result.reason
    assert "picture_evidence" not in result.model_dump()
    page = render_html(result, picture_scanner.screen.card)
    assert "joined by arrows" in page
    assert "Classical evidence" in page


def test_a_picture_without_a_copy_is_not_cleared(picture_scanner: Scanner, tmp_path: Path) -> None:
    Image.fromarray(textured(1)).save(tmp_path / "plain.png")
    result = picture_scanner.scan(tmp_path / "plain.png")
    assert (result.verdict, result.probability) == ("no_face", None)
    assert result.picture is not None
    assert result.picture.copied == []
    assert result.picture.reason.startswith("No region was found twice. The localizer ")
    assert result.reason.endswith(result.picture.reason)


def write_odd(kind: str, path: Path) -> None:
    rgb = textured(4, 96)
    image = Image.fromarray(rgb)
    if kind == "16 bits":
        cv2.imwrite(str(path), rgb.astype(np.uint16) * 257)
    elif kind == "CMYK":
        image.convert("CMYK").save(path, "JPEG")
    elif kind == "transparent":
        image.putalpha(0)
        image.save(path)
    elif kind == "one wide":
        image.crop((0, 0, 1, 96)).save(path)
    elif kind == "one colour":
        Image.new("RGB", (96, 64), (200, 120, 40)).save(path)
    else:
        image.convert(kind).save(path)


@pytest.mark.parametrize("kind", ["16 bits", "CMYK", "1", "P", "transparent", "one wide", "one colour"])
def test_every_kind_of_picture_is_answered(kind: str, picture_scanner: Scanner, tmp_path: Path) -> None:
    write_odd(kind, tmp_path / "odd.png")
    result = picture_scanner.scan(tmp_path / "odd.png")
    assert (result.verdict, result.errors) == ("no_face", [])
    assert result.picture is not None
    assert result.picture.copied == []


def test_a_jpeg_cut_short_is_named(picture_scanner: Scanner, tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    Image.fromarray(textured(4, 96)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    result = picture_scanner.scan(path)
    assert [problem.cause for problem in result.errors] == ["truncated"]
    assert str(path) in result.reason


def test_a_still_is_decoded_once(picture_scanner: Scanner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(textured(2, 128)).save(tmp_path / "once.png")
    decoded = []
    monkeypatch.setattr("interceptor.media.stills.to_rgb", lambda image: decoded.append(1) or to_rgb(image))
    assert picture_scanner.scan(tmp_path / "once.png").verdict == "no_face"
    assert len(decoded) == 1


def test_a_video_is_not_looked_through_for_copies(picture_scanner: Scanner, media: dict[str, Path]) -> None:
    assert picture_scanner.scan(media["clip"]).picture is None


def test_a_large_picture_is_located_in_its_own_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marked = Instance((10, 20, 40, 60), 1000, 0.1, 0.9)
    map_ = np.zeros((100, 200), np.float32)
    located = Localization(map_, map_ > 1, map_.astype(np.uint8), [marked], 0.9, "forged", 0.5, 1, 448)
    seen = []
    monkeypatch.setattr("interceptor.detect.picture.LONGEST", 200)
    monkeypatch.setattr("interceptor.detect.picture.match", lambda rgb: [])
    scanner = PictureScanner()
    scanner.__dict__["_localizer"] = SimpleNamespace(localize=lambda rgb: seen.append(rgb.shape) or located)
    result, _ = scanner(tmp_path / "large.png", np.zeros((200, 400, 3), np.uint8))
    assert seen == [(100, 200, 3)]
    assert result.altered.regions == [AlteredRegion(box=(20, 40, 80, 120), area=4000, probability=0.9)]
    assert "probability 0.90" in result.reason


def altered(verdict: Literal["forged", "authentic", "inconclusive"], counts: bool) -> PictureResult:
    found = Altered(verdict=verdict, probability=0.8, counts=counts, regions=[])
    return PictureResult(copied=[], altered=found, reason="Why.")


def test_faces_keep_their_verdict_where_nothing_counts() -> None:
    for picture in (altered("forged", counts=False), altered("inconclusive", counts=True)):
        joined = PictureScanner().join(picture, "inconclusive", 0.4, "So.")
        assert joined == ("inconclusive", 0.4, "So. Why.")


def test_the_localizer_decides_where_its_card_allows_it() -> None:
    joined = PictureScanner().join(altered("forged", counts=True), "inconclusive", 0.4, "So.")
    assert joined == ("forged", 0.8, "Why. Its faces: so.")


def test_the_localizer_counts_by_the_false_alarms_of_its_card() -> None:
    kinds = {"clothing": {"called": 2, "of": 20}, "blots": {"called": 0, "of": 30}}
    assert counts({"false_alarms": kinds})
    assert not counts({"false_alarms": kinds | {"nuclei": {"called": 3, "of": 20}}})
    assert not counts({"false_alarms": kinds | {"nuclei": {"called": 0, "of": 8}}})
    assert not counts({})
    with pytest.raises(WeightError, match="false alarms"):
        counts({"false_alarms": {"clothing": 0.1}})


def test_a_card_without_rates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "copymove.json").write_text('{"files": {}, "figures": {}}')
    with pytest.raises(WeightError, match=r"copymove\.json"):
        copied_probability(tmp_path)
