from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from interceptor.datasets.crops import read_index
from interceptor.training.checkpoints import CheckpointError, read_tensors
from interceptor.training.sampling import PairBatches
from interceptor.training.screen import Recipe, ScreenRun, override
from tiny_data import random_base, write_crops

RECIPE = Recipe(
    steps=4,
    pairs=2,
    warm_crops=16,
    validate_every=2,
    validate_crops=8,
    warmup=1,
    seed=5,
)


@pytest.fixture(scope="module")
def base() -> dict[str, torch.Tensor]:
    return random_base()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("data")
    return [write_crops(root / "swaps"), write_crops(root / "clips", authentic_only=True)]


def silent(stage: str, done: int, total: int, note: str) -> None:
    """No progress is shown in tests."""


def test_a_run_writes_checkpoint_card_and_the_best_parameters(base: dict, data: list[Path], tmp_path: Path) -> None:
    card = ScreenRun(base, data, tmp_path, RECIPE, silent).run()
    assert [entry["step"] for entry in card["history"]] == [0, 2, 4]
    assert card == json.loads((tmp_path / "run.json").read_text())
    assert card["best"]["selection"] == max(entry["selection"] for entry in card["history"])
    best = read_tensors(tmp_path / "best.safetensors")
    assert {"readout.weight", "readout.bias", "norm_pre.weight", "blocks.9.mlp.fc2.bias"} <= best.keys()
    assert not list(tmp_path.glob(".*.part"))


def test_a_resumed_run_is_the_very_same_run(base: dict, data: list[Path], tmp_path: Path) -> None:
    ScreenRun(base, data, tmp_path / "whole", RECIPE, silent).run()
    stopped = ScreenRun(base, data, tmp_path / "parts", RECIPE, silent).run(until=time.monotonic() - 1)
    assert stopped["history"][-1]["step"] == 1
    ScreenRun(base, data, tmp_path / "parts", RECIPE, silent).run()
    whole, parts = (read_tensors(tmp_path / name / "last.safetensors") for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    for name, tensor in whole.items():
        torch.testing.assert_close(parts[name], tensor, rtol=2e-3, atol=2e-4)


def test_a_folder_of_another_run_is_refused(base: dict, data: list[Path], tmp_path: Path) -> None:
    ScreenRun(base, data, tmp_path, RECIPE, silent).run(until=time.monotonic() - 1)
    with pytest.raises(CheckpointError, match="another recipe"):
        ScreenRun(base, data, tmp_path, override(RECIPE, ["lr=0.5"]), silent)


def test_batches_depend_on_seed_and_number_alone(data: list[Path]) -> None:
    crops = [crop for path in data for crop in read_index(path / "index.csv", "train")]
    first, again, other = (PairBatches(crops, steps=9, pairs=3, self_blend=0.5, seed=seed) for seed in (1, 1, 2))
    images, labels = first[7]
    assert images.shape == (6, 3, 224, 224)
    assert images.dtype == torch.uint8
    assert labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert torch.equal(images, again[7][0])
    assert not torch.equal(images, other[7][0])
    assert not torch.equal(images, first[6][0])


def test_a_forgery_comes_with_its_own_original(data: list[Path]) -> None:
    crops = read_index(data[0] / "index.csv", "train")
    batches = PairBatches(crops, steps=1, pairs=1, self_blend=0, seed=0)
    for seed in range(10):
        real, fake = batches._pair(np.random.default_rng(seed))
        outside = np.ones((224, 224), bool)
        outside[60:160, 60:160] = False
        np.testing.assert_array_equal(real[outside], fake[outside])
        assert (real != fake).any()


def test_a_data_set_without_authentic_crops_is_refused(data: list[Path]) -> None:
    crops = [crop for crop in read_index(data[0] / "index.csv") if crop.label == 1]
    with pytest.raises(ValueError, match="swaps: no authentic crops"):
        PairBatches(crops, steps=1, pairs=1, self_blend=0, seed=0)


def test_settings_are_checked_and_the_nearest_key_named() -> None:
    assert override(RECIPE, ["lr=0.01", "steps=7"]) == Recipe(**{**RECIPE.__dict__, "lr": 0.01, "steps": 7})
    with pytest.raises(ValueError, match="did you mean 'self_blend'"):
        override(RECIPE, ["self_blnd=1"])
    with pytest.raises(ValueError, match="expected a number"):
        override(RECIPE, ["steps=many"])
