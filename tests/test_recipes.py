"""Recipes: the stage table, settings, what an epoch draws, how a sample is augmented."""

from __future__ import annotations

import json
import tomllib
from collections import Counter

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from interceptor.cli import app
from interceptor.datasets.shards import Row
from interceptor.media.enhancement import STEPS, enhance
from interceptor.training.stages.balance import balanced_weights, batches, epoch_draws
from interceptor.training.stages.recipe import FOLDER, STAGES, Recipe, every_recipe, load_recipe
from interceptor.training.stages.views import Augmentation, mirrored
from shard_maker import clip

TABLE = {
    "faceforensics": (1e-4, 6, "cross-entropy", 0.3, 5.0, 0.1, (), "hub", "stage1_final"),
    "celebdf": (5e-5, 5, "focal", 0.3, 10.0, 0.2, ("clahe",), "stage1_final", "stage2_final"),
    "dfdc": (1e-5, 2, "weighted-focal", 0.4, 20.0, 0.0, ("clahe", "bilateral"), "stage2_final", "stage4_final"),
}


def test_eighteen_recipes_hold_the_stage_table() -> None:
    found = every_recipe()
    assert len(found) == 18
    for (_, stage), r in found.items():
        row = (r.lr, r.epochs, r.loss, r.dropout[0], r.rotation, r.jitter, r.preprocessing, r.starts_from, r.final)
        assert row == TABLE[stage]
    assert found["bg", "dfdc"].chunks == (9, 8, 3, 5, 7, 2, 6, 4, 1, 0)
    assert (found["tm", "dfdc"].brightness, found["tm", "dfdc"].perspective) == (0.4, 0.2)
    assert found["av", "celebdf"].translate == 0.05


def test_each_key_is_explained_once_and_stages_name_only_what_they_change() -> None:
    default = (FOLDER / "default.toml").read_text()
    keys = tomllib.loads(default)
    assert list(keys) == list(Recipe.model_fields)
    for key in keys:
        (line,) = [line for line in default.splitlines() if line.startswith(f"{key} =")]
        assert "  # " in line
    for stage in STAGES:
        own = tomllib.loads((FOLDER / f"{stage}.toml").read_text())
        assert own.keys() <= keys.keys()


@pytest.mark.parametrize(
    ("stage", "setting", "said"),
    [
        ("dfdc", "epoch=3", "did you mean 'epochs'"),
        ("dfcd", "epochs=3", "did you mean 'dfdc'"),
        ("dfdc", "lr=-1", "lr=-1"),
        ("dfdc", "backbone=resnet", "efficientnet_b4"),
        ("dfdc", "preprocessing=['sharpen']", "clahe"),
        ("dfdc", "epochs", "expected epochs=value"),
    ],
)
def test_a_mistake_in_a_setting_is_answered_with_what_is_valid(stage: str, setting: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"no stage|no setting|=|expected") as caught:
        load_recipe(stage, [setting])
    assert said in str(caught.value)


def test_precisions_are_words() -> None:
    assert [load_recipe("dfdc", [f"precision={word}"]).precision for word in ("16", "32", "bf16")] == [
        "16",
        "32",
        "bf16",
    ]


def test_the_command_lists_recipes_and_names_the_nearest_key() -> None:
    listed = json.loads(CliRunner().invoke(app, ["recipes", "--format", "json"]).stdout)
    assert len({(one["code"], one["stage"]) for one in listed}) == 18
    shown = CliRunner().invoke(app, ["recipes"])
    assert shown.exit_code == 0
    assert "weighted-focal" in shown.stdout
    done = CliRunner().invoke(app, ["train", "bg", "--stage", "dfdc", "--data", "nowhere", "--set", "loss_=focal"])
    assert done.exit_code == 2
    assert "did you mean 'loss'" in done.stderr


def rows(counts: dict[tuple[int, str, str], int]) -> list[Row]:
    return [
        Row(f"{label}{method}{source}{i}", label, method, "train", "g", source, "v")
        for (label, method, source), many in counts.items()
        for i in range(many)
    ]


COUNTS = {(0, "", "a"): 5, (0, "", "b"): 40, (1, "swap", "a"): 300, (1, "swap", "b"): 10, (1, "lips", "a"): 3}


def test_labels_methods_and_sources_weigh_the_same() -> None:
    found = rows(COUNTS)
    weights = balanced_weights(found).numpy()
    for level, shares in (
        (lambda r: r.label, {0: 0.5, 1: 0.5}),
        (lambda r: (r.label, r.method), {(0, ""): 0.5, (1, "swap"): 0.25, (1, "lips"): 0.25}),
        (
            lambda r: (r.label, r.method, r.source),
            {(0, "", "a"): 0.25, (1, "swap", "b"): 0.125, (1, "lips", "a"): 0.25},
        ),
    ):
        for key, share in shares.items():
            assert sum(w for w, r in zip(weights, found, strict=True) if level(r) == key) == pytest.approx(share)


def test_an_epoch_is_drawn_alike_each_time_and_shared_out_without_overlap() -> None:
    found = rows(COUNTS)
    places = list(range(100, 100 + len(found)))
    draws = epoch_draws(found, places, 4096, balance=True, seed=(1, 2, 3))
    assert draws == epoch_draws(found, places, 4096, balance=True, seed=(1, 2, 3))
    assert draws != epoch_draws(found, places, 4096, balance=True, seed=(1, 2, 4))
    labels = Counter(found[draw.row - 100].label for draw in draws)
    assert abs(labels[0] - 2048) < 4 * 32  # four standard deviations
    one = batches(draws, 8, 3, 0, 1)
    two = [batches(draws, 4, 3, rank, 2) for rank in (0, 1)]
    assert [first + second for first, second in zip(*two, strict=True)] == one
    assert [draw for batch in one for draw in batch] == draws[24:]
    assert len({draw.seed for draw in draws}) == len(draws)


def test_unbalanced_epochs_hold_each_row_once() -> None:
    found = rows(COUNTS)
    draws = epoch_draws(found, range(len(found)), len(found), balance=False, seed=(1, 0, 0))
    assert sorted(draw.row for draw in draws) == list(range(len(found)))


def test_augmentation_treats_aligned_views_alike_and_leaves_native_pixels_whole() -> None:
    face = clip(3, forged=True)
    face.neighbours[0, :] = face.crops[0]  # so that what happens to one can be seen on the others
    augment = Augmentation(load_recipe("dfdc"))
    state = torch.random.get_rng_state()
    changed = mirrors = 0
    for seed in range(6):
        seen = augment(face, seed)
        np.testing.assert_array_equal(seen.crops[0], seen.neighbours[0, 0])
        np.testing.assert_array_equal(seen.crops[0], seen.neighbours[0, 1])
        native = seen.native[0].pixels
        whole, mirror = (np.array_equal(native, a) for a in (face.native[0].pixels, face.native[0].pixels[:, ::-1]))
        assert whole or mirror
        mirrors += mirror and not whole
        changed += not np.array_equal(seen.crops, face.crops)
        np.testing.assert_array_equal(seen.crops, augment(face, seed).crops)
        assert seen.sound is face.sound
    assert changed == 6
    assert 0 < mirrors < 6
    assert torch.equal(torch.random.get_rng_state(), state)


def test_turned_pictures_have_no_black_corners() -> None:
    white = clip(0, forged=False)
    white.crops[:] = 200
    turned = Augmentation(load_recipe("faceforensics", ["rotation=20", "jitter=0", "translate=0.05"]))
    for seed in range(4):
        assert turned(white, seed).crops.min() > 190


def test_two_mirrors_are_none() -> None:
    face = clip(1, forged=True)
    back = mirrored(mirrored(face))
    for name in ("crops", "landmarks", "context", "neighbours"):
        np.testing.assert_allclose(getattr(back, name), getattr(face, name), atol=1e-4)
    np.testing.assert_array_equal(back.mouth.frames, face.mouth.frames)


def test_enhancement_raises_contrast_smooths_and_keeps_its_order() -> None:
    dull = np.clip(clip(5, forged=False).crops[0].astype(np.float32) * 0.25 + 90, 0, 255).astype(np.uint8)
    noisy = np.clip(dull + np.random.default_rng(0).normal(0, 6, dull.shape), 0, 255).astype(np.uint8)
    assert STEPS["clahe"](dull).std() > 1.3 * dull.std()
    assert (
        np.abs(np.diff(STEPS["bilateral"](noisy).astype(int), axis=1)).mean()
        < 0.7 * np.abs(np.diff(noisy.astype(int), axis=1)).mean()
    )
    both = enhance(noisy, ["clahe", "bilateral"])
    np.testing.assert_array_equal(both, STEPS["bilateral"](STEPS["clahe"](noisy)))
    with pytest.raises(ValueError, match="choose from clahe, bilateral"):
        enhance(dull, ["sharpen"])
