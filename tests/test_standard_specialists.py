"""The standard specialists' chain on made-up media: half lenses, stored pairs, training, export, scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from face_maker import face_clip
from interceptor.cli import app
from interceptor.datasets.crops import read_index
from interceptor.datasets.samples import moments
from interceptor.detect.detector import load_detector
from interceptor.detect.ensemble import Abstention, weighted_ensemble
from interceptor.detect.specialists import Specialists
from interceptor.lenses import LENSES
from interceptor.lenses.half import HALF_SIZE, NATIVE, half
from interceptor.media.clips import FaceClip, NativeCrop
from interceptor.media.crops import CROP_SIZE, TEMPLATE
from interceptor.training import augment
from interceptor.training.checkpoints import CheckpointError, write_json, write_tensors
from interceptor.training.specialists import data as specialist_data
from interceptor.training.specialists.prepare import Sources, prepare
from interceptor.training.specialists.trainer import Recipe, new_head, read_pairs, read_run, scores, train_specialist
from test_self_blend import picture
from tiny_data import write_crops

POINTS = TEMPLATE * CROP_SIZE


def clip(*, native: tuple[int, int] = (300, 260)) -> FaceClip:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (*native, 3), dtype=np.uint8)
    crops = picture(0)[None]
    return FaceClip(
        crops,
        POINTS[None],
        np.zeros(1),
        native=(NativeCrop(pixels, POINTS),),
        neighbours=np.stack([picture(1), picture(2)])[None],
    )


def tokens(crops: np.ndarray) -> np.ndarray:
    """Stand-in for the base: mean colours of the 7 x 7 places, repeated."""
    colours = crops.reshape(len(crops), 7, 32, 7, 32, 3).mean((2, 4)).reshape(len(crops), 49, 3)
    return np.tile(colours, 1024).astype(np.float32)


def test_averaged_lenses_keep_their_mean_and_native_ones_their_pixels() -> None:
    seen = np.random.default_rng(1).normal(size=(2, 3, CROP_SIZE, CROP_SIZE)).astype(np.float32)
    for code in LENSES:
        small = half(code, seen)
        assert small.shape == (2, 3, HALF_SIZE, HALF_SIZE)
        if code not in NATIVE:
            np.testing.assert_allclose(small, seen.reshape(2, 3, 112, 2, 112, 2).mean((3, 5)), atol=1e-5)
        else:
            for row, column in ((0, 0), (3, 5), (6, 6)):
                place = seen[:, :, 32 * row + 8 : 32 * row + 24, 32 * column + 8 : 32 * column + 24]
                assert np.array_equal(small[:, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16], place)


@pytest.mark.parametrize("size", [(300, 260), (224, 224), (150, 237)])
def test_a_moment_shows_native_lenses_what_the_whole_crop_shows(size: tuple[int, int]) -> None:
    whole = clip(native=size)
    (moment,) = moments(whole)
    assert moment.native[0].pixels.size <= whole.native[0].pixels.size
    for code in NATIVE:
        np.testing.assert_array_equal(LENSES[code].look(moment), LENSES[code].look(whole))


def test_the_augmentation_treats_both_of_a_pair_alike_and_mirrors_landmarks() -> None:
    (moment,) = moments(clip())
    for seed in range(8):
        treat = augment.draw_clip(np.random.default_rng(seed))
        one, two = treat(moment), treat(moment)
        assert np.array_equal(one.crops, two.crops)
        assert np.array_equal(one.native[0].pixels, two.native[0].pixels)
        assert one.landmarks[0, 0, 0] < one.landmarks[0, 1, 0]
        assert one.neighbours.shape == moment.neighbours.shape


def test_stored_pairs_come_back_and_equal_crops_are_looked_at_once(tmp_path: Path) -> None:
    calls = []

    def counting(crops: np.ndarray) -> np.ndarray:
        calls.append(len(crops))
        return tokens(crops)

    pairs = specialist_data.Pairs(counting)
    real = next(moments(clip()))
    other = FaceClip(picture(5)[None], POINTS[None], np.zeros(1))
    assert pairs.add("ll", "ll", real, other)
    assert pairs.add("bg", "ll", real, other)
    assert not pairs.add("cm", "cm", real, other)  # nothing native to look at
    assert pairs.write(tmp_path / "train" / "one.safetensors") == {"ll.ll": 1, "bg.ll": 1}
    assert calls == [2]
    found = read_pairs(tmp_path, "train", "bg", "ll")
    grid, seen = found.batch(np.array([0]))
    np.testing.assert_allclose(grid[0], tokens(real.crops)[0], rtol=1e-3)
    np.testing.assert_allclose(seen[1], half("ll", LENSES["ll"].look(other))[0], atol=1e-3)
    with pytest.raises(CheckpointError, match="no pairs of 'cm'"):
        read_pairs(tmp_path, "train", "cm", "cm")


def test_a_clip_becomes_pairs_of_its_split(tmp_path: Path, weights_folder: Path) -> None:
    detector = load_detector(weights_folder)
    for_lens = specialist_data.FOR_LENS
    for name, split, each in (
        ("vox_00015", "train", 1 + for_lens),
        ("hyperlips_video2", "val", 1),
        ("hdtf_5", "test", 1),
    ):
        made = specialist_data.forge_pictures(face_clip(tmp_path / f"{name}.mp4"), tmp_path / "data", detector, tokens)
        count, rest = divmod(made["ll.ll"], each)
        assert count > 0
        assert rest == 0
        assert made["tm.tm"] == made["ll.ll"]
        pairs = read_pairs(tmp_path / "data", split, "ll", "ll")
        assert pairs.for_lens.sum() == count * (each - 1)
        assert (pairs.seen[:, 0] != pairs.seen[:, 1]).any(-1).any(-1).any(-1).all()
        others = {"train": (count, None), "val": (None, None), "test": (count, count)}
        assert (made.get("ll.rgb"), made.get("ll.cm")) == others[split]


def test_only_the_families_that_are_asked_for_forge(tmp_path: Path, weights_folder: Path) -> None:
    path = face_clip(tmp_path / "vox_00015.mp4")
    made = specialist_data.forge_pictures(path, tmp_path, load_detector(weights_folder), tokens, ("ll",), for_lens=1)
    assert set(made) == {"ll.ll", "ll.rgb"}
    assert made["ll.ll"] == 2 * made["ll.rgb"]  # one of two is for the lens alone
    sources = Sources([path], [], [], 1, 2, ("ll", "av"))
    with pytest.raises(ValueError, match="av: no family that forges pictures; ll, bg, cm, rr, tm"):
        prepare(sources, {}, tmp_path, lambda: load_detector(weights_folder), lambda *_: None)


def test_more_pairs_with_tokens_of_their_own(tmp_path: Path, weights_folder: Path) -> None:
    path, detector = face_clip(tmp_path / "vox_00015.mp4"), load_detector(weights_folder)
    found = {}
    for own in (1, 3):
        out = tmp_path / str(own)
        specialist_data.forge_pictures(path, out, detector, tokens, ("ll",), own=own, for_lens=1)
        found[own] = read_pairs(out, "train", "ll", "ll")
    few, many = found[1], found[3]
    moments = (~few.for_lens).sum()
    assert moments > 0
    assert (~many.for_lens).sum() == 3 * moments
    assert many.for_lens.sum() == few.for_lens.sum() == moments
    drawn = many.seen[~many.for_lens].flatten(1)
    assert len(drawn.unique(dim=0)) == 3 * moments
    torch.testing.assert_close(many.seen[0], few.seen[0])  # the first is as it was


def test_collected_pairs_are_seen_by_low_light(tmp_path: Path) -> None:
    crops = read_index(write_crops(tmp_path / "data", 3))
    real, fake = (next(crop for crop in crops if crop.label == label) for label in (0, 1))
    made = specialist_data.collected_pair(real, fake, tmp_path, "train", tokens)
    assert made == {"real.ll": 1, "real.rgb": 1}
    assert read_pairs(tmp_path, "train", "real", "ll").rows.tolist() == [[0, 1]]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A resolution specialist, trained on pairs whose forgeries lack detail, and exported by the commands."""
    folder = tmp_path_factory.mktemp("specialists")
    rng = np.random.default_rng(2)
    media = [("train", f"made{i}", 4) for i in range(6)] + [("val", "made6", 8), ("test", "made7", 8)]
    for split, name, count in media:
        seen = rng.normal(0, 0.3, (count, 2, 3, HALF_SIZE, HALF_SIZE))
        seen[:, 1] *= 0.2
        write_tensors(
            folder / "data" / split / f"{name}.safetensors",
            {
                "tokens": torch.from_numpy(rng.normal(size=(count, 49, 3072)).repeat(2, 0)).half(),
                "rr.rr.rows": torch.arange(2 * count, dtype=torch.int32).view(count, 2),
                "rr.rr.seen": torch.from_numpy(seen).half(),
            },
        )
    write_json(folder / "data" / "data.json", {"base_sha256": "0" * 64})
    common = ["rr", "--data", str(folder / "data")]
    settings = ["steps=24", "pairs=5", "module_steps=6", "module_pairs=4", "ema=0.8", "lr=0.004"]
    run = [*common, "--out", str(folder / "run"), *(word for setting in settings for word in ("--set", setting))]
    for command in (["train", "specialist", *run], ["export", "specialist", *common, "--run", str(folder / "run")]):
        arguments = command if command[0] == "train" else [*command, "--out", str(folder / "weights")]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
    return folder


def test_it_learns_what_the_pairs_show(shipped: Path) -> None:
    head, card = read_run("rr", shipped / "run")
    assert card["best"]["selection"] > 0.9
    assert card["pairs"]["train"] == {"rr": 24}
    labels, logits = scores(head, read_pairs(shipped / "data", "test", "rr", "rr"))
    assert logits[labels == 1].mean() > logits[labels == 0].mean()


def test_a_run_repeats_itself(shipped: Path, tmp_path: Path) -> None:
    recipe = Recipe(steps=2, pairs=4, module_steps=2, module_pairs=2, validate_every=2)
    cards = [
        train_specialist("rr", shipped / "data", tmp_path / name, recipe, lambda *_: None, "") for name in ("a", "b")
    ]
    assert cards[0]["history"] == cards[1]["history"]


def test_a_run_goes_on_from_anothers_head(shipped: Path, tmp_path: Path) -> None:
    def train(name: str, recipe: Recipe, start: Path | None = None) -> dict[str, Any]:
        return train_specialist("rr", shipped / "data", tmp_path / name, recipe, lambda *_: None, "", start)

    first = train("first", Recipe(steps=2, pairs=4, quiet=0.1))
    then = train("then", Recipe(steps=0), tmp_path / "first")
    assert then["history"][0]["selection"] == first["best"]["selection"]
    assert then["recipe"]["quiet"] == 0.1  # it hears tokens as it learned to, and the card says so
    assert read_run("rr", tmp_path / "then")[0].quiet.item() == pytest.approx(0.1)


def test_the_exported_head_answers_as_the_trained_one(shipped: Path) -> None:
    head, _ = read_run("rr", shipped / "run")
    pairs = read_pairs(shipped / "data", "test", "rr", "rr")
    expected = scores(head, pairs)[1]
    member = Specialists(("rr",), shipped / "weights").members["rr"]
    found = member.logits(*(part.numpy() for part in pairs.batch(np.arange(8))))
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
    assert (shipped / "weights" / "specialist_rr.onnx").stat().st_size < 2e6
    card = json.loads((shipped / "weights" / "specialist_rr.json").read_text())
    assert card["calibration"]["slope"] > 0


def test_a_clip_gets_scores_and_reasons(shipped: Path) -> None:
    specialists = Specialists(("rr", "cm"), shipped / "weights")
    found = specialists(clip(), tokens(clip().crops))
    assert isinstance(found["rr"], float)
    assert isinstance(found["cm"], Abstention)
    assert "specialist_cm.json" in found["cm"].reason
    blind = FaceClip(picture(5)[None], POINTS[None], np.zeros(1))
    answer = weighted_ensemble(specialists(blind, tokens(blind.crops)))
    assert answer.probability is None
    assert "original frame" in answer.specialists["rr"].reason
    with pytest.raises(ValueError, match="2 token grids for 1 crops"):
        specialists(blind, np.zeros((2, 49, 3072), np.float32))


def test_a_damaged_file_is_named_and_the_rest_goes_on(shipped: Path, tmp_path: Path) -> None:
    for file in (shipped / "weights").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "specialist_rr.onnx").write_bytes(b"no network")
    absent = Specialists(("rr",), tmp_path).absent["rr"].reason
    assert "specialist_rr.onnx" in absent
    assert "SHA-256" in absent


def test_six_heads_fit_the_package() -> None:
    assert sum(parameter.numel() for parameter in new_head("tm").parameters()) < 1.5e6
