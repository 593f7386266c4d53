"""A still picture through the whole scan: copied regions decide, and the report shows them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from interceptor.detect.picture import copied_probability, join
from interceptor.detect.result import PictureResult
from interceptor.detect.scan import Scanner
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
    assert result.picture == PictureResult(copied=[], reason="No region was found twice.")
    assert result.reason.endswith("No region was found twice.")


def test_a_video_is_not_looked_through_for_copies(picture_scanner: Scanner, media: dict[str, Path]) -> None:
    assert picture_scanner.scan(media["clip"]).picture is None


def test_faces_keep_their_verdict_where_nothing_was_copied() -> None:
    nothing = PictureResult(copied=[], reason="No region was found twice.")
    assert join(nothing, 0.9, "inconclusive", 0.4, "So.") == ("inconclusive", 0.4, "So. No region was found twice.")


def test_a_card_without_rates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "copymove.json").write_text('{"files": {}, "figures": {}}')
    with pytest.raises(WeightError, match=r"copymove\.json"):
        copied_probability(tmp_path)
