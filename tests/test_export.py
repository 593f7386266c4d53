from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from interceptor.models.foundation import Foundation
from interceptor.models.screen import FEATURES, Readout, Screen, pool
from interceptor.runtime.network import Network
from interceptor.training.checkpoints import CheckpointError, read_tensors, sha256, write_tensors
from interceptor.training.export import BASE_NAME, export_screen, load_base, read_tuned, write_screen
from interceptor.training.features import features
from tiny_data import random_base


@pytest.fixture(scope="module")
def base() -> dict[str, torch.Tensor]:
    return random_base()


@pytest.fixture(scope="module")
def screen(base: dict[str, torch.Tensor]) -> Screen:
    torch.manual_seed(3)
    model = Screen(Foundation(base), Readout(torch.randn(FEATURES) * 0.1, torch.rand(FEATURES) + 0.5)).eval()
    with torch.no_grad():
        for parameter in model.foundation.tunable().values():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


@pytest.fixture(scope="module")
def folder(base: dict[str, torch.Tensor], screen: Screen, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    export_screen(base, screen.tuned(), folder)
    return folder


def test_the_graph_is_the_trained_model(folder: Path, screen: Screen) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    with torch.no_grad():
        images = torch.from_numpy(crops).permute(0, 3, 1, 2)
        logits, heat = screen.heat(images)
        pooled = pool(screen.foundation(images))
    found, found_heat, tokens, classes = Network(folder / "screen.onnx", precision_hint="f32", quantized=False)(crops)
    np.testing.assert_allclose(found, logits.numpy(), atol=1e-4)
    np.testing.assert_allclose(found_heat, heat.numpy(), atol=1e-3)
    np.testing.assert_allclose(features(tokens, classes), pooled.numpy(), rtol=1e-3, atol=1e-3)


def test_only_the_outputs_asked_for(folder: Path) -> None:
    crops = np.zeros((2, 224, 224, 3), np.uint8)
    every = dict(zip(("logit", "heat", "tokens", "classes"), Network(folder / "screen.onnx")(crops), strict=True))
    classes, logit = Network(folder / "screen.onnx", outputs=("classes", "logit"))(crops)
    np.testing.assert_array_equal(classes, every["classes"])
    np.testing.assert_array_equal(logit, every["logit"])


def test_only_the_small_file_changes_with_another_tuning(
    folder: Path, base: dict[str, torch.Tensor], screen: Screen, tmp_path: Path
) -> None:
    before = sha256(folder / BASE_NAME)
    other = {name: tensor + 0.01 for name, tensor in screen.tuned().items()}
    export_screen(base, other, folder)
    assert sha256(folder / BASE_NAME) == before
    assert (folder / BASE_NAME).stat().st_size < 80e6
    assert (folder / "screen.onnx").stat().st_size < 2e6
    for name, tensor in read_tuned(folder / "screen.onnx").items():
        torch.testing.assert_close(tensor, other[name])
    export_screen(base, screen.tuned(), folder)


def test_another_base_is_refused(folder: Path, screen: Screen) -> None:
    with pytest.raises(CheckpointError, match="another base"):
        export_screen(random_base(seed=9), screen.tuned(), folder)


def test_the_screen_must_lie_beside_its_base(folder: Path, screen: Screen, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="same folder"):
        write_screen(folder / BASE_NAME, screen.tuned(), tmp_path / "screen.onnx")


def test_a_base_file_is_read_back(folder: Path, base: dict[str, torch.Tensor]) -> None:
    loaded = load_base(folder / BASE_NAME)
    assert loaded.keys() == base.keys()
    assert all(torch.equal(loaded[name], base[name]) for name in base)


def test_other_weights_are_refused_by_name(tmp_path: Path) -> None:
    write_tensors(tmp_path / "other.safetensors", {"fc.weight": torch.zeros(2, 2)})
    with pytest.raises(CheckpointError, match=r"other\.safetensors.*cls_token"):
        load_base(tmp_path / "other.safetensors")


def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(b"\x40\x00\x00")
    with pytest.raises(CheckpointError, match=r"cut\.safetensors"):
        read_tensors(tmp_path / "cut.safetensors")
    with pytest.raises(CheckpointError, match="no such file"):
        read_tensors(tmp_path / "none.safetensors")
