"""Localizers at work: members, flips, tiles, memory, verdicts, and pictures of every kind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import localizer_maker
from interceptor.cli import app
from interceptor.detect import sight
from interceptor.detect.localize import PRESETS, Localizer
from interceptor.detect.submission import read_submission
from interceptor.media.ela import ela
from interceptor.media.inputs import ELA_MEAN, ELA_STD, MEAN, STD, network_input
from interceptor.metrics.maps import combined, sigmoid
from interceptor.report.localization import CONTOUR, TINT, overlay
from interceptor.runtime import weights as shipped
from interceptor.runtime.network import Network
from interceptor.runtime.weights import WeightError
from test_self_blend import picture

GREY = (56, 120, 120)
"""A logit of -2 times a member's gain."""
RED = (248, 120, 120)
"""One of 4 times."""


def with_patch(height: int, width: int, box: tuple[int, int, int, int]) -> np.ndarray:
    """Grey, with a red patch (left, top, width, height)."""
    rgb = np.full((height, width, 3), GREY, np.uint8)
    left, top, w, h = box
    rgb[top : top + h, left : left + w] = RED
    return rgb


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return localizer_maker.standard(tmp_path_factory.mktemp("weights"), {"highres_no_ela": 1.0})


@pytest.fixture(scope="module")
def localizer(folder: Path) -> Localizer:
    return Localizer(folder)


@pytest.mark.parametrize("count", range(1, 7))
def test_one_to_six_members_are_joined_as_the_card_says(tmp_path: Path, count: int) -> None:
    names = [*localizer_maker.WEIGHTS, *localizer_maker.UNION][-count:]
    gains = {name: 0.5 * number for number, name in enumerate(names, start=1)}
    rgb = np.full((100, 80, 3), RED, np.uint8)
    found = Localizer(localizer_maker.standard(tmp_path, gains)).localize(rgb)
    planes = {name: sigmoid(4 * gain) for name, gain in gains.items()}
    total = sum(localizer_maker.WEIGHTS[name] for name in names if name in localizer_maker.WEIGHTS)
    mean = sum(localizer_maker.WEIGHTS.get(name, 0) * plane for name, plane in planes.items()) / (total or 1)
    expected = max(mean, 0.8 * planes["small_forgery"])
    assert found.probability == pytest.approx(expected, abs=2e-3)
    assert found.probability_map.min() == pytest.approx(found.probability_map.max(), abs=1e-4)


def test_a_card_that_does_not_fit_its_network_is_refused(tmp_path: Path) -> None:
    localizer_maker.standard(tmp_path, {"highres_no_ela": 1.0, "hard_negative": 1.0})
    localizer_maker.write_card(tmp_path, "localizer", ["highres_no_ela"], ["localizer.onnx"])
    with pytest.raises(WeightError, match="2 maps, its card names 1"):
        Localizer(tmp_path).localize(np.full((9, 9, 3), GREY, np.uint8))
    for change in ({"weights": {}}, {"union": {"another": 0.8}}, {"members": []}, {"calibration": {}}):
        localizer_maker.write_card(tmp_path, "localizer", ["highres_no_ela"], ["localizer.onnx"], change)
        with pytest.raises(WeightError, match=r"localizer\.json"):
            Localizer(tmp_path)


@pytest.mark.parametrize(("option", "value"), [("mode", "half"), ("join", "median"), ("tier", "best")])
def test_other_settings_are_refused_with_what_there_is(folder: Path, option: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"no {option} '{value}'; choose from"):
        Localizer(folder, **{option: value})


def test_no_place_is_likelier_than_the_picture_and_their_order_stays(tmp_path: Path) -> None:
    localizer_maker.standard(tmp_path, {"highres_no_ela": 1.0})
    changes = {"calibration": {"slope": 0.1, "offset": 0.0}}
    localizer_maker.write_card(tmp_path, "localizer", ["highres_no_ela"], ["localizer.onnx"], changes)
    reds = np.linspace(20, 250, 448).astype(np.uint8)
    rgb = np.full((448, 448, 3), 120, np.uint8)
    rgb[..., 0] = reds
    found = Localizer(tmp_path).localize(rgb)
    assert found.probability == pytest.approx(sigmoid(0.4), abs=0.01)
    along = found.probability_map[200]
    assert along.max() <= found.probability
    assert (np.diff(along[8:-8:8]) > 0).all()
    low = along < 0.9 * found.probability
    np.testing.assert_allclose(along[low], sigmoid((reds[low] - 120.0) / 32), atol=0.03)


@pytest.mark.parametrize("flips", [4, 8])
def test_flips_come_back_to_their_place(folder: Path, flips: int) -> None:
    rgb = with_patch(448, 448, (40, 300, 120, 60))
    plain = Localizer(folder).localize(rgb).probability_map
    for join in ("mean", "max"):
        np.testing.assert_allclose(
            Localizer(folder, flips=flips, join=join).localize(rgb).probability_map, plain, atol=1e-5
        )


@pytest.mark.parametrize("flips", [4, 8])
def test_flips_are_all_different_and_joined_by_mean_or_max(
    folder: Path, monkeypatch: pytest.MonkeyPatch, flips: int
) -> None:
    laid, turn = [], iter(range(2 * flips))

    def network(self: Network, given: np.ndarray) -> list[np.ndarray]:
        laid.append(given.tobytes())
        return [np.full((1, 1, 112, 112), float(next(turn) % flips), np.float32)]

    monkeypatch.setattr(Network, "__call__", network)
    rgb = with_patch(448, 448, (0, 0, 50, 20))
    found = [Localizer(folder, flips=flips, join=join).localize(rgb) for join in ("mean", "max")]
    assert len(set(laid)) == flips
    assert [each.probability for each in found] == pytest.approx(
        [sigmoid((flips - 1) / 2), sigmoid(flips - 1)], abs=1e-4
    )


def test_tiles_are_laid_without_seams_over_the_whole(folder: Path) -> None:
    rgb = with_patch(1000, 700, (420, 500, 200, 150))
    told: list[tuple[int, int]] = []
    found = Localizer(folder, mode="tiles").localize(rgb, lambda done, total: told.append((done, total)))
    assert told == [(i, 6) for i in range(1, 7)]
    assert (found.tiles, found.seen) == (6, 448)
    assert np.ptp(found.probability_map[560:600, 460:580]) < 1e-3
    np.testing.assert_allclose(found.probability_map[:400], sigmoid(-2), atol=1e-3)
    assert found.instances[0].box == pytest.approx((420, 500, 620, 650), abs=4)


def test_small_forgeries_in_large_pictures_are_found_by_tiles(folder: Path) -> None:
    rgb = with_patch(1500, 1500, (700, 700, 60, 60))
    whole, tiles = (Localizer(folder, mode=mode, preset="sensitive").localize(rgb) for mode in ("whole", "tiles"))
    assert tiles.probability > whole.probability


@pytest.mark.parametrize(
    ("grey", "moved"), [(20, -0.10), (60, -0.05), (120, 0), (240, 0.05)], ids=["dark", "dim", "usual", "bright"]
)
def test_the_threshold_moves_with_brightness(localizer: Localizer, grey: int, moved: float) -> None:
    found = localizer.localize(np.full((50, 60, 3), grey, np.uint8))
    assert found.threshold == pytest.approx(0.5 + moved)


def test_presets_go_from_precise_to_sensitive(folder: Path) -> None:
    rgb = with_patch(512, 512, (10, 10, 60, 60))
    for corner, colour, side in (
        ((200, 200), (135, 120, 120), 40),  # a logit of .5, or .6
        ((100, 300), (100, 120, 120), 40),  # one of -.6, or .35
        ((300, 300), RED, 15),
    ):
        rgb[corner[0] : corner[0] + side, corner[1] : corner[1] + side] = colour
    counts = [len(Localizer(folder, preset=name).localize(rgb).instances) for name in PRESETS]
    assert list(PRESETS) == ["precise", "balanced", "sensitive"]
    assert counts == [1, 2, 4]


@pytest.mark.parametrize(
    ("red", "verdict"), [(248, "forged"), (120, "inconclusive"), (30, "authentic")], ids=lambda value: str(value)
)
def test_three_verdicts(localizer: Localizer, red: int, verdict: str) -> None:
    found = localizer.localize(np.full((64, 64, 3), (red, 120, 120), np.uint8))
    assert found.verdict == verdict
    assert found.probability == pytest.approx(sigmoid((red - 120) / 32), abs=2e-3)


def test_memory_is_bounded_by_the_pictures_size(folder: Path, tmp_path: Path) -> None:
    """17 bytes a pixel beside the process itself keep a hundred megapixels under two gigabytes."""
    pixels = 4000 * 3000
    Image.fromarray(with_patch(3000, 4000, (500, 600, 900, 700))).save(tmp_path / "large.jpg", quality=90)
    code = f"""
import sys
from pathlib import Path
from interceptor.detect.localize import Localizer
from interceptor.evaluation.masks import peak_memory_mb
from interceptor.media import read_still
from interceptor.report.localization import write_localization
localizer, told = Localizer(Path({str(folder)!r})), []
before = peak_memory_mb()
rgb = read_still({str(tmp_path / "large.jpg")!r})
found = localizer.localize(rgb, lambda done, total: told.append((done, total)))
write_localization("large.jpg", rgb, found, Path({str(tmp_path / "large")!r}))
assert len(found.instances) == 1 and found.tiles == 88 and told[-1] == (88, 88)
print((peak_memory_mb() - before) * 2**20 / {pixels})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 17


def test_the_overlay_tints_each_region_once_and_nothing_else(folder: Path) -> None:
    rgb = with_patch(400, 400, (50, 50, 300, 60))
    rgb[50:350, 50:110] = RED  # a corner, in whose box another region lies
    rgb[200:300, 200:300] = RED
    found = Localizer(folder).localize(rgb)
    assert len(found.instances) == 2
    drawn = overlay(rgb, found)
    tinted = np.rint(np.array(RED) * (1 - TINT) + np.array(CONTOUR) * TINT)
    for row, column in ((80, 80), (250, 250), (300, 80)):
        assert np.abs(drawn[row, column] - tinted).max() <= 1
    np.testing.assert_array_equal(drawn[:20], rgb[:20])
    np.testing.assert_array_equal(drawn[150:180, 150:180], rgb[150:180, 150:180])
    assert (drawn == CONTOUR).all(2).any()
    assert (drawn == 255).all(2).any()


# The full tier.

ROWS = {"highres_no_ela": [1.0, -1.0, 0.0], "comprehensive": [0.0, 0.0, 0.0, 1.0]}


def test_the_full_tier_runs_three_and_four_channels(tmp_path: Path) -> None:
    localizer_maker.full(tmp_path, ROWS)
    rgb = picture(3)
    found = Localizer(tmp_path, tier="full", flips=4).localize(rgb)
    assert found.seen == 512
    planes = network_input(rgb, 512, error_levels=True)
    logits = np.stack([planes[0] - planes[1], planes[3]])
    expected = combined(logits, list(ROWS), {"highres_no_ela": 1.5, "comprehensive": 0.5}, {})
    expected = cv2.resize(sigmoid(expected), rgb.shape[1::-1], interpolation=cv2.INTER_AREA)
    below = expected < 0.9 * found.probability
    assert below.mean() > 0.5
    np.testing.assert_allclose(found.probability_map[below], expected[below], atol=0.02)


def test_the_input_of_the_full_tier_is_what_is_documented() -> None:
    rgb = picture(1)
    planes = network_input(rgb, 512, error_levels=True)
    assert (planes.shape, planes.dtype) == ((4, 512, 512), np.float32)
    colours = cv2.resize(rgb, (512, 512), interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1)
    np.testing.assert_allclose(planes[:3] * STD[:, None, None] + MEAN[:, None, None], colours / 255, atol=1e-6)
    levels = cv2.resize(ela(rgb).astype(np.float32), (512, 512), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(planes[3] * ELA_STD + ELA_MEAN, levels, atol=1e-4)
    np.testing.assert_array_equal(network_input(rgb, 512), planes[:3])


@pytest.mark.parametrize(("fits", "error"), [(512, None), (256, None), (128, None), (64, MemoryError)])
@pytest.mark.parametrize("when", ["compiling", "running"])
def test_where_memory_runs_out_tiles_get_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fits: int, error: type[Exception] | None, when: str
) -> None:
    localizer_maker.full(tmp_path, ROWS)
    rgb = picture(3)
    usual = Localizer(tmp_path, tier="full").localize(rgb)
    tried: list[int] = []

    class Small(Network):
        """A network for which memory suffices up to a size."""

        def __init__(self, path: Path, *, shape: tuple[int, ...]) -> None:
            tried.append(shape[2])
            if when == "compiling" and shape[2] > fits:
                raise MemoryError
            super().__init__(path, shape=shape)

        def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
            if inputs[0].shape[2] > fits:
                raise MemoryError
            return super().__call__(*inputs)

    monkeypatch.setattr(sight, "Network", Small)
    if error is not None:
        with pytest.raises(error):
            Localizer(tmp_path, tier="full").localize(rgb)
        assert min(tried) == 128
        return
    small = Localizer(tmp_path, tier="full")
    found = small.localize(rgb)
    assert found.seen == fits
    np.testing.assert_allclose(found.probability_map, usual.probability_map, atol=1e-5)
    count = len(tried)
    small.localize(rgb)
    assert len(tried) == count  # it stays with what fits


def test_the_runtimes_words_for_no_memory_are_understood(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(folder / "localizer.onnx")

    class Request:
        message = "Exception from src/inference: std::bad_alloc"

        def infer(self, *given: object, **settings: object) -> None:
            raise RuntimeError(self.message)

    monkeypatch.setattr(network, "_request", Request())
    with pytest.raises(MemoryError, match="bad_alloc"):
        network(np.zeros((1, 448, 448, 3), np.uint8))
    monkeypatch.setattr(Request, "message", "shapes differ")
    with pytest.raises(RuntimeError, match="shapes differ"):
        network(np.zeros((1, 448, 448, 3), np.uint8))


# The commands.


@pytest.fixture
def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(shipped, "FOLDER", folder)
    return folder


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def save_odd_pictures(where: Path) -> dict[str, tuple[int, int]]:
    """One picture of each odd kind; (width, height) by name."""
    rgb = with_patch(90, 140, (30, 20, 60, 50))
    image, grey = Image.fromarray(rgb), np.linspace(0, 65535, 90 * 140).astype(np.uint16).reshape(90, 140)
    cv2.imwrite(str(where / "grey16.png"), grey)
    cv2.imwrite(str(where / "colour16.tif"), np.repeat(grey[..., None], 3, axis=2))
    image.convert("CMYK").save(where / "cmyk.jpg")
    image.convert("CMYK").save(where / "cmyk.tif")
    image.convert("L").save(where / "grey.jpg")
    image.convert("1").save(where / "bilevel.png")
    image.convert("P").save(where / "palette.png")
    image.convert("P").save(where / "palette.gif")
    image.convert("LA").save(where / "grey_alpha.png")
    Image.fromarray(np.dstack([rgb, np.full((90, 140), 128, np.uint8)])).save(where / "alpha.png")
    image.convert("P").save(where / "transparent.png", transparency=0)
    Image.fromarray(np.random.default_rng(0).random((90, 140)).astype(np.float32)).save(where / "float.tif")
    narrow, flat, dot = np.full((300, 1, 3), 90, np.uint8), np.full((1, 3000, 3), 90, np.uint8), rgb[:1, :1]
    for name, array in (("narrow", narrow), ("flat", flat), ("dot", dot)):
        Image.fromarray(array).save(where / f"{name}.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(where / "turned.jpg", exif=exif)
    sizes = {path.name: (140, 90) for path in where.iterdir()}
    return sizes | {"narrow.png": (1, 300), "flat.png": (3000, 1), "dot.png": (1, 1), "turned.jpg": (90, 140)}


@pytest.mark.usefixtures("installed")
def test_every_kind_of_picture_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    sizes = save_odd_pictures(tmp_path / "in")
    code, out, err = run("localize", tmp_path / "in", "--out", tmp_path / "out", "--format", "json", "--mode", "tiles")
    assert (code, err) == (0, f"maps, masks, overlays and JSON: {tmp_path / 'out'}\n")
    lines = {Path(line["path"]).name: line for line in map(json.loads, out.splitlines())}
    assert {name: (line["width"], line["height"]) for name, line in lines.items()} == sizes
    for line in lines.values():
        assert line["verdict"] in ("forged", "authentic", "inconclusive")
        files = line["files"]
        assert json.loads(Path(files.pop("json")).read_text())["instances"] == line["instances"]
        pictures = {name: cv2.imread(file, cv2.IMREAD_UNCHANGED) for name, file in files.items()}
        assert {image.shape[1::-1] for image in pictures.values()} == {(line["width"], line["height"])}
        assert pictures["probability"].dtype == np.uint16
        assert set(np.unique(pictures["mask"])) <= {0, 255}
        assert (pictures["mask"] > 0).sum() == sum(instance["area"] for instance in line["instances"])
    assert {lines[f"{name}.png"]["verdict"] for name in ("narrow", "flat", "dot")} == {"inconclusive"}
    assert lines["turned.jpg"]["instances"][0]["box"] == pytest.approx([20, 30, 70, 90], abs=3)


@pytest.mark.usefixtures("installed")
def test_what_cannot_be_read_is_named_and_the_rest_done(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (60, 80, 3), np.uint8))
    noise.save(tmp_path / "good.png")
    for name in ("cut.jpg", "cut.png", "cut.webp", "cut.tif"):
        noise.save(tmp_path / name)
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("no picture")
    Image.new("1", (20_000, 10)).save(tmp_path / "gigantic.png")
    code, out, err = run("localize", tmp_path, "--out", tmp_path / "out", "--format", "json")
    assert code == 1
    lines = [json.loads(line) for line in out.splitlines()]
    causes = {Path(line["path"]).name: line["error"] and line["error"]["cause"] for line in lines}
    assert causes.pop("good.png") is None
    assert causes.pop("empty.png") == "empty_file"
    assert causes.pop("text.jpg") == "not_media"
    assert causes.pop("gigantic.png") == "too_large"
    assert set(causes) == {"cut.jpg", "cut.png", "cut.webp", "cut.tif"}
    assert set(causes.values()) <= {"truncated", "undecodable"}
    assert err.count("error: ") == 7
    # A second run over the same folder does not look at the results of the first.
    assert len(run("localize", tmp_path, "--out", tmp_path / "out", "--format", "json")[1].splitlines()) == 8


@pytest.mark.usefixtures("installed")
def test_a_picture_too_large_for_memory_is_an_error_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, side in (("a.png", 40), ("b.png", 30)):
        Image.new("RGB", (side, side)).save(tmp_path / name)
    look = Localizer._look

    def short_of_memory(self: Localizer, rgb: np.ndarray, progress: object) -> object:
        if len(rgb) == 40:
            raise MemoryError
        return look(self, rgb, progress)

    monkeypatch.setattr(Localizer, "_look", short_of_memory)
    code, out, err = run("localize", tmp_path, "--out", tmp_path / "out", "--format", "json")
    first, second = map(json.loads, out.splitlines())
    assert code == 1
    assert first["error"]["cause"] == "too_large"
    assert "40 x 40 pixels: scale it down" in err
    assert second["error"] is None


def test_the_full_tier_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INTERCEPTOR_MODELS", raising=False)
    (tmp_path / "models").mkdir()
    localizer_maker.full(tmp_path / "models", ROWS)
    Image.fromarray(picture(1)).save(tmp_path / "a.png")
    command = ("localize", tmp_path / "a.png", "--out", tmp_path / "out", "--tier", "full")
    code, out, _ = run(*command, "--models", tmp_path / "models", "--join", "max", "--flips", 4)
    assert code == 0
    assert out.startswith(f"{tmp_path / 'a.png'}: ")
    assert "probability" in out
    code, _, err = run(*command)
    assert code == 2
    assert "INTERCEPTOR_MODELS" in err
    code, _, err = run(*command, "--models", tmp_path)
    assert code == 2
    assert "localizer_full.json: missing" in err
    monkeypatch.setenv("INTERCEPTOR_MODELS", str(tmp_path / "models"))
    code, _, _ = run(*command)
    assert code == 0


def test_models_of_the_full_tier_are_for_it_alone(tmp_path: Path) -> None:
    Image.fromarray(picture(1)).save(tmp_path / "a.png")
    code, _, err = run("localize", tmp_path / "a.png", "--out", tmp_path / "out", "--models", tmp_path)
    assert code == 2
    assert "add --tier full" in err


@pytest.mark.usefixtures("installed")
def test_no_memory_for_the_networks_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*given: object, **settings: object) -> None:
        raise MemoryError

    monkeypatch.setattr(sight, "Network", none_left)
    Image.fromarray(picture(1)).save(tmp_path / "a.png")
    code, _, err = run("localize", tmp_path / "a.png", "--out", tmp_path / "out")
    assert code == 2
    assert "not enough memory" in err


@pytest.mark.usefixtures("installed")
def test_a_submission_has_a_row_for_every_case(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    rgb = with_patch(200, 300, (30, 20, 90, 50))
    rgb[120:180, 200:280] = RED
    Image.fromarray(rgb).save(images / "1.png")
    Image.fromarray(np.full((50, 60, 3), GREY, np.uint8)).save(images / "2.jpg", quality=95)
    (images / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n cut short")
    for name in ("photo.heic", "plate.pdf", "notes.txt", ".hidden"):
        (images / name).write_text("no case")
    file = tmp_path / "new" / "submission.csv"
    code, _, err = run("submit", images, "--out", file, "--method", "localizer")
    assert code == 1
    assert f"2 files left out for another suffix, such as {images / 'photo.heic'}" in err
    assert "case 3 could not be read" in err
    found = read_submission(file, {"1": (200, 300), "2": (50, 60), "3": (9, 9)})
    assert {case: len(planes) for case, planes in found.items()} == {"1": 2, "2": 0, "3": 0}
    assert found["1"][1][20:70, 30:120].mean() > 0.95  # the smaller of the two
    (images / "1.jpg").write_bytes((images / "2.jpg").read_bytes())
    code, _, err = run("submit", images, "--out", file)
    assert code == 2
    assert "one case" in err
    code, _, err = run("submit", images / "1.png", "--out", file)
    assert (code, err.strip()) == (2, f"error: {images / '1.png'}: this is a file, not a folder")
