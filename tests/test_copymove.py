from __future__ import annotations

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
from interceptor.detect.copymove import Match, Region, decision, exclude, match, match_across, panels, regions
from interceptor.detect.copymove.keypoints import Pairs, detect, mirrored
from interceptor.detect.copymove.models import models
from interceptor.detect.picture import copied_pair
from interceptor.report.matches import draw_matches

RECODAI = Path(__file__).parents[2] / "shared" / "data" / "forgery" / "recodai"


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Irregular texture with structure of several sizes: uint8[height, width, 3]."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), s) * s for s in (1.5, 4, 12)
    ]
    grey = np.clip(128 + 60 * sum(layers), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, 2)


def copy_move(
    rgb: np.ndarray, source: tuple[int, int], copy: tuple[int, int], radius: int, linear: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A disc about `source` (x, y) pasted about `copy`: the forged picture, the masks of source and copy."""
    height, width = rgb.shape[:2]
    mask = cv2.circle(np.zeros((height, width), np.uint8), source, radius, 1, -1)
    transform = np.column_stack([linear, np.array(copy) - linear @ source])
    pasted = cv2.warpAffine(mask, transform, (width, height), flags=cv2.INTER_NEAREST) > 0
    moved = cv2.warpAffine(rgb, transform, (width, height), flags=cv2.INTER_CUBIC)
    return np.where(pasted[..., None], moved, rgb), mask > 0, pasted


def turned(angle: float, scale: float = 1.0, flip: bool = False) -> np.ndarray:
    """Mirrors left to right where `flip`, then turns clockwise (as seen) by `angle` degrees and scales."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return scale * np.array([[c, -s], [s, c]]) @ np.diag([-1 if flip else 1, 1])


def overlap(region: Region, mask: np.ndarray) -> float:
    canvas = np.zeros(mask.shape, bool)
    region.paint(canvas)
    return np.count_nonzero(canvas & mask) / np.count_nonzero(canvas | mask)


@pytest.mark.parametrize(
    ("angle", "scale", "flip"), [(0, 1, False), (90, 1, False), (37, 1.3, False), (-120, 0.8, False), (20, 1, True)]
)
def test_a_copy_is_found_with_its_transform(angle: float, scale: float, flip: bool) -> None:
    rgb, source, copy = copy_move(texture(200, 280), (70, 65), (200, 120), 40, turned(angle, scale, flip))
    (found,) = match(rgb)
    assert overlap(found.source, source) > 0.7
    assert overlap(found.copy, copy) > 0.7
    assert (found.angle - angle + 180) % 360 - 180 == pytest.approx(0, abs=2)
    assert found.scale == pytest.approx(scale, abs=0.03)
    assert found.flip == flip
    assert found.inliers > 10
    expected = turned(angle, scale, flip) @ (np.array(found.source.centre) - [70.5, 65.5]) + [200.5, 120.5]
    reached = found.transform[:, :2] @ found.source.centre + found.transform[:, 2]
    np.testing.assert_allclose(reached, expected, atol=2)


def test_several_copies_are_all_found() -> None:
    rgb, source, first = copy_move(texture(220, 300), (50, 60), (150, 70), 35, turned(0))
    rgb, _, second = copy_move(rgb, (50, 60), (240, 160), 35, turned(70))
    union = np.zeros(source.shape, bool)
    for found in match(rgb):
        found.source.paint(union)
        found.copy.paint(union)
    truth = source | first | second
    assert np.count_nonzero(union & truth) / np.count_nonzero(union | truth) > 0.7


def test_a_large_picture_is_answered_in_its_own_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interceptor.detect.copymove.matcher.MAX_PIXELS", 60_000)
    rgb, source, copy = copy_move(texture(240, 300), (75, 75), (215, 150), 48, turned(0))
    rgb = cv2.resize(rgb, None, fx=2, fy=1, interpolation=cv2.INTER_LINEAR)  # not square, shrunk inside
    (found,) = match(rgb)
    wide = [
        cv2.resize(mask.astype(np.uint8), rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
        for mask in (source, copy)
    ]
    assert overlap(found.source, wide[0]) > 0.7
    assert overlap(found.copy, wide[1]) > 0.7


def test_a_smooth_copy_is_found_by_the_dense_field() -> None:
    noise = np.random.default_rng(3).normal(0, 1, (200, 280)).astype(np.float32)
    grey = np.clip(128 + 480 * cv2.GaussianBlur(noise, (0, 0), 8), 0, 255).astype(np.uint8)
    rgb, source, copy = copy_move(np.repeat(grey[..., None], 3, 2), (70, 65), (200, 125), 42, turned(0))
    (found,) = match(rgb)
    assert found.method == "dense"
    assert overlap(found.source, source) > 0.5
    assert overlap(found.copy, copy) > 0.5


@pytest.mark.parametrize("differs", [False, True])
def test_empty_ground_within_a_copy_belongs_to_it_and_what_differs_does_not(differs: bool) -> None:
    picture = np.full((110, 260), 20, np.float32)
    core = np.zeros(picture.shape, bool)
    for left in (20, 70):
        picture[40:70, left : left + 30] = picture[40:70, left + 130 : left + 160] = texture(30, 30)[..., 0]
        core[44:66, left + 4 : left + 26] = True
    if differs:
        picture[45:65, 185:195] = texture(20, 10, 1)[..., 0]
    found = regions.Regions(core, np.roll(core, 130, 1), 1.0, 1.0, 1000, 1.0, 1.0, 0.0)
    filled = regions.fill(picture, picture, np.array([[1.0, 0, 130], [0, 1, 0]]), found)
    assert filled.source[55, 60] == filled.copy[55, 190] == (not differs)
    assert filled.source[42, 22]
    assert not filled.source[20, 60]


def test_the_same_picture_twice_gives_the_same_answer() -> None:
    rgb, *_ = copy_move(texture(180, 240), (60, 60), (170, 110), 35, turned(30))
    first, second = ([copied_pair(one) for one in match(rgb)] for _ in range(2))
    assert first
    assert first == second


def test_across_pictures_only_what_they_share_is_found() -> None:
    pictures = [texture(160, 200, seed) for seed in (1, 2, 3)]
    pictures[2][40:120, 90:180] = pictures[0][60:140, 20:110]
    (found,) = match_across(pictures)
    assert (found.source_file, found.copy_file) == (0, 2)
    np.testing.assert_allclose(found.source.box, (20, 60, 110, 140), atol=6)
    np.testing.assert_allclose(found.copy.box, (90, 40, 180, 120), atol=6)


def test_a_duplicated_panel_names_both_panels() -> None:
    figure = np.full((280, 420, 3), 255, np.uint8)
    corners = [(10, 10), (10, 150), (10, 290), (150, 10), (150, 150)]  # top, left
    for number, (top, left) in enumerate(corners):
        figure[top : top + 120, left : left + 120] = texture(120, 120, number)
    figure[150:270, 290:405] = np.rot90(texture(120, 120, 1))[:, :115]
    boxes = panels.split(cv2.cvtColor(figure, cv2.COLOR_RGB2GRAY))
    assert len(boxes) == 6
    (found,) = match(figure)
    assert {found.source_panel, found.copy_panel} == {1, 5}
    assert abs(found.angle) == pytest.approx(90, abs=1)


@pytest.mark.parametrize("page", [0, 30])
def test_panels_that_touch_are_told_apart(page: int) -> None:
    flat = [texture(90, width, seed)[..., 0] // 2 + 60 * (seed % 3) for seed, width in enumerate((100, 130, 70))]
    figure = np.vstack([np.hstack(flat), np.hstack(flat[::-1])])
    framed = np.pad(figure, page, constant_values=255)
    boxes = [(0, 0, 100), (100, 0, 230), (230, 0, 300), (0, 90, 70), (70, 90, 200), (200, 90, 300)]
    expected = [(left + page, top + page, right + page, top + page + 90) for left, top, right in boxes]
    assert panels.split(framed) == expected


def test_a_picture_without_seams_is_no_figure() -> None:
    assert panels.split(texture(200, 300)[..., 0]) == []


def candidate(**facts: float) -> regions.Regions:
    nothing = np.zeros((1, 1), bool)
    usual = {"correlation": 0.75, "detail": 0.5, "structure": 900, "corners": 0.5, "gain": 1.0, "offset": 0.0}
    return regions.Regions(nothing, nothing, **(usual | facts))


@pytest.mark.parametrize(
    ("facts", "stretch", "inliers", "rival", "expected"),
    [
        ({}, 1.0, 6, 0.9, True),  # the same tones and shape: cloth never repeats to the grey level
        ({"offset": 5.0}, 1.0, 6, 0.9, False),
        ({"gain": 0.7}, 1.0, 6, 0.9, False),
        ({}, 1.1, 6, 0.9, False),
        ({}, 1.0, 4, 0.0, False),  # few correspondences need more likeness
        ({"correlation": 0.92, "detail": 0.6}, 1.0, 3, 0.9, True),
        ({"correlation": 0.92, "detail": 0.7, "offset": 3.0}, 1.0, 3, 0.95, True),  # nearly the same tones
        ({"correlation": 0.92, "detail": 0.7, "offset": 30.0}, 1.0, 6, 0.0, True),  # a copy made brighter
        ({"correlation": 0.92, "detail": 0.7, "offset": 30.0}, 1.0, 5, 0.0, False),
        ({"correlation": 0.92, "detail": 0.7, "offset": 30.0}, 1.0, 6, 0.91, False),
        ({"correlation": 0.92, "detail": 0.7, "offset": 30.0}, 1.0, 25, 0.91, True),
        ({"correlation": 0.92, "detail": 0.7, "offset": 30.0}, 1.3, 25, 0.0, False),
        ({"correlation": 0.85, "offset": 30.0}, 1.0, 6, 0.7, True),  # well ahead of all others
        ({"correlation": 0.85, "offset": 30.0}, 1.0, 6, 0.8, False),
        ({"correlation": 0.99, "detail": 0.99, "corners": 0.1}, 1.0, 99, 0.0, False),  # a mere edge
    ],
)
def test_what_convinces(facts: dict[str, float], stretch: float, inliers: int, rival: float, expected: bool) -> None:
    transform = np.array([[stretch, 0.0, 50.0], [0.0, 1.0, 0.0]])
    assert decision.convincing(candidate(**facts), transform, inliers, [rival], "keypoints") == expected


@pytest.mark.parametrize("flipped", [False, True])
def test_three_correspondences_make_a_similarity(flipped: bool) -> None:
    linear = turned(25, 1.2, flipped)
    source = np.array([[20, 20], [60, 25], [35, 60]], np.float32)
    target = (source @ linear.T + [120, 30]).astype(np.float32)
    pairs = Pairs(source, target, np.repeat(linear[None], 3, 0).astype(np.float32), np.zeros(3, np.float32))
    [(transform, points)] = models(pairs, 300)
    np.testing.assert_allclose(transform, np.column_stack([linear, [120, 30]]), atol=1e-3)
    assert len(points) == 3


def test_refining_finds_the_place_again() -> None:
    picture = texture(120, 260)[..., 0].astype(np.float32)
    picture[20:100, 150:230] = picture[20:100, 20:100]
    region = np.zeros(picture.shape, bool)
    region[30:90, 30:90] = True
    rough = np.array([[1.01, 0.01, 129.0], [-0.01, 1.0, 1.0]])
    refined = regions.refine(picture, picture, rough, region)
    corners = np.array([[30, 30, 1], [90, 30, 1], [30, 90, 1], [90, 90, 1]])
    np.testing.assert_allclose(corners @ refined.T, corners[:, :2] + [130, 0], atol=0.2)


def test_charts_are_drawings_and_textures_are_not() -> None:
    everywhere = np.ones((300, 480), bool)
    assert exclude.graphic(text()[..., 0], everywhere)
    assert not exclude.graphic(texture(300, 480)[..., 0], everywhere)


def lattice() -> np.ndarray:
    rows, columns = np.mgrid[:240, :240]
    return np.repeat((128 + 50 * np.sin(columns / 4) + 50 * np.sin(rows / 5)).astype(np.uint8)[..., None], 3, 2)


def tiles() -> np.ndarray:
    return np.tile(texture(30, 30), (8, 8, 1))  # up to six like places could be copies


def gratings() -> np.ndarray:
    return np.repeat((np.mgrid[:200, :200].sum(0) // 6 % 2 * 200).astype(np.uint8)[..., None], 3, 2)


def text() -> np.ndarray:
    page = np.full((300, 480, 3), 255, np.uint8)
    for row in range(30, 290, 30):
        cv2.putText(
            page, "the same words again and again", (20, row), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 2, cv2.LINE_AA
        )
    return page


def axes() -> np.ndarray:
    page = np.full((400, 600, 3), 255, np.uint8)
    for left in (40, 320):
        cv2.rectangle(page, (left, 40), (left + 220, 340), (0, 0, 0), 1)
        for tick in range(60, 340, 40):
            cv2.line(page, (left - 6, tick), (left, tick), (0, 0, 0), 1)
            cv2.putText(page, "0.5", (left - 36, tick + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return page


@pytest.mark.parametrize("make", [lattice, tiles, gratings, text, axes], ids=lambda make: make.__name__)
def test_what_repeats_by_itself_is_no_copy(make: object) -> None:
    assert match(make()) == []


@pytest.mark.parametrize("seed", range(2))
def test_an_honest_texture_gives_nothing(seed: int) -> None:
    assert match(texture(200, 200, seed)) == []


@pytest.mark.parametrize(
    "rgb",
    [
        np.full((200, 300, 3), 90, np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        texture(300, 1),
        texture(1, 300),
        texture(20, 20),
        np.random.default_rng(0).integers(0, 2, (200, 200, 3)).astype(np.uint8),
    ],
    ids=["one colour", "one pixel", "one wide", "one high", "tiny", "two levels of noise"],
)
def test_pictures_with_nothing_to_match(rgb: np.ndarray) -> None:
    assert match(rgb) == []
    assert match_across([rgb, rgb[::-1].copy()]) == [] or rgb.shape == (20, 20, 3)


def test_three_hundred_panels() -> None:
    figure = np.full((15 * 44, 20 * 44, 3), 255, np.uint8)
    for number in range(300):
        top, left = 44 * (number // 20) + 2, 44 * (number % 20) + 2
        figure[top : top + 40, left : left + 40] = texture(40, 40, number)
    assert len(panels.split(figure[..., 0])) == 300
    assert match(figure) == []


@given(shape=st.tuples(st.integers(1, 60), st.integers(1, 60)), seed=st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_no_picture_breaks_it(shape: tuple[int, int], seed: int) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (*shape, 3)).astype(np.uint8)
    for found in match(rgb):
        assert found.source.area > 0


def test_letters_and_bars_are_masked_and_pictures_are_not() -> None:
    page = np.full((400, 600), 255, np.uint8)
    page[50:350, 50:350] = texture(300, 300)[..., 0]
    cv2.putText(page, "label", (400, 200), cv2.FONT_HERSHEY_SIMPLEX, 1, 0, 2, cv2.LINE_AA)
    drawn = exclude.drawn(page)
    assert drawn[:, 400:][page[:, 400:] < 100].mean() > 0.95
    assert drawn[60:340, 60:340].mean() < 0.05


def test_mirrored_descriptors_are_those_of_the_mirror_image() -> None:
    grey = texture(256, 256)[..., 0]
    allowed, boxes = np.ones(grey.shape, bool), []
    plain, image = detect(grey, allowed, boxes, 500), detect(np.ascontiguousarray(grey[:, ::-1]), allowed, boxes, 500)
    reflected = image.points * [-1, 1] + [255, 0]
    distance = np.linalg.norm(plain.points[:, None] - reflected[None], axis=-1)
    same = np.argwhere(distance < 0.5)
    likeness = np.sum(mirrored(plain.descriptors)[same[:, 0]] * image.descriptors[same[:, 1]], axis=1)
    assert len(same) > 100
    assert np.median(likeness) > 0.95


@given(angle=st.floats(-179, 179), scale=st.floats(0.5, 2), flip=st.booleans())
def test_a_match_states_its_transform(angle: float, scale: float, flip: bool) -> None:
    region = Region(0, 0, np.ones((2, 2), bool))
    found = Match(region, region, np.column_stack([turned(angle, scale, flip), [5, 6]]), 9, 0.9, "keypoints")
    assert found.angle == pytest.approx(angle, abs=1e-6)
    assert found.scale == pytest.approx(scale)
    assert found.flip == flip


def test_a_region_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        Region.of(np.zeros((3, 3), bool))


def test_the_drawing_shows_both_regions() -> None:
    rgb = np.zeros((100, 200, 3), np.uint8)
    square = np.ones((20, 20), bool)
    found = Match(Region(10, 10, square), Region(150, 60, square), np.eye(2, 3), 9, 0.9, "keypoints")
    drawn = draw_matches([rgb], [found])
    assert drawn.shape == rgb.shape
    assert drawn[20, 20].any()
    assert drawn[70, 160].any()
    assert not drawn[90, 20].any()
    assert draw_matches([np.zeros((4000, 10, 3), np.uint8), rgb], []).shape[0] == 1600


def test_the_command_reads_every_kind_and_names_what_it_cannot(tmp_path: Path) -> None:
    rgb, *_ = copy_move(texture(140, 170), (40, 40), (120, 95), 32, turned(0))
    grey = rgb[..., 0]
    Image.fromarray(rgb).save(tmp_path / "a_rgb.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "b_sixteen.png")
    Image.fromarray(grey).save(tmp_path / "c_grey.png")
    Image.fromarray(np.dstack([rgb, np.full_like(grey, 255)])).save(tmp_path / "d_alpha.png")
    (tmp_path / "e_broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    Image.fromarray(texture(60, 60, 5)).save(tmp_path / "f_honest.png")
    done = CliRunner().invoke(app, ["match", str(tmp_path), "--format", "json", "--out", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "e_broken.png" in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(line["matches"]) if "matches" in line else line["error"]["cause"] for line in lines] == [
        1,
        1,
        1,
        1,
        "truncated",
        0,
    ]
    assert len(list((tmp_path / "out").glob("*.png"))) == 4


def test_the_command_compares_across_files(tmp_path: Path) -> None:
    one, two = texture(130, 160, 1), texture(130, 160, 2)
    two[20:100, 60:150] = one[40:120, 10:100]
    Image.fromarray(one).save(tmp_path / "one.png")
    Image.fromarray(two).save(tmp_path / "two.png")
    done = CliRunner().invoke(
        app, ["match", str(tmp_path), "--across", "--format", "json", "--out", str(tmp_path / "out")]
    )
    assert done.exit_code == 0
    (found,) = json.loads(done.stdout.splitlines()[-1])["matches"]
    assert Path(found["source_path"]).name == "one.png"
    assert Path(found["target_path"]).name == "two.png"
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["across_000_one_001_two.png"]
    text = CliRunner().invoke(app, ["match", str(tmp_path), "--across"])
    assert "1 region found twice" in text.stdout


def test_the_command_needs_a_picture(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["match", str(tmp_path)]).exit_code == 2


@pytest.mark.skipif(not RECODAI.is_dir(), reason=f"contest pictures are missing: {RECODAI}")
def test_a_copied_blot_of_the_contest_is_found() -> None:
    from interceptor.media.stills import read_still

    truth = np.load(RECODAI / "train_masks" / "209.npy").astype(bool).any(0)
    (found,) = match(read_still(RECODAI / "train_images" / "forged" / "209.png"))
    canvas = np.zeros(truth.shape, bool)
    found.source.paint(canvas)
    found.copy.paint(canvas)
    assert 2 * np.count_nonzero(canvas & truth) / (np.count_nonzero(canvas) + np.count_nonzero(truth)) > 0.8


def test_the_rim_of_a_disc_is_no_copy_of_itself() -> None:
    rgb = np.full((260, 400, 3), 90, np.uint8)
    rgb += np.linspace(0, 50, 400).astype(np.uint8)[None, :, None]
    disc = np.zeros((260, 400), np.float32)
    cv2.circle(disc, (120, 130), 90, 1, cv2.FILLED)
    disc = cv2.GaussianBlur(disc, (0, 0), 1)[..., None]
    inside = np.clip(150 + cv2.GaussianBlur(np.random.default_rng(0).normal(0, 60, (260, 400)), (0, 0), 4), 0, 255)
    assert match((rgb * (1 - disc) + inside[..., None] * disc).astype(np.uint8)) == []
