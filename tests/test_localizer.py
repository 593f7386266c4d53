from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from interceptor.detect.localize import Localizer, Mode, find_instances
from interceptor.forges.pictures import KINDS
from interceptor.media.tiles import feather, fitted, starts
from interceptor.metrics.calibration import RATES, RiskCurve
from interceptor.metrics.maps import combined, logit, sigmoid, top_score
from interceptor.models.localizer import CELLS, DEPTHS, MAP, SIDE, Gate, LocalizerDecoder, position_embedding
from interceptor.runtime.network import Network
from interceptor.runtime.weights import WeightError
from interceptor.training.checkpoints import write_json, write_tensors
from interceptor.training.export import BASE_NAME
from interceptor.training.localizers.card import export_localizer
from interceptor.training.localizers.data import FULL, IGNORED, Sample, Source, make, plan, target
from interceptor.training.localizers.loss import localisation_loss
from interceptor.training.localizers.recipes import MEMBERS
from interceptor.training.localizers.sources import side_of
from test_self_blend import picture
from tiny_data import random_base

CARD = {
    "members": ["a", "b"],
    "weights": {"a": 1.0},
    "union": {"b": 0.8},
    "pixel_offset": 0.25,
    "calibration": {"slope": 1.0, "offset": 0.0},
    "thresholds": {
        "forged": dataclasses.asdict(RiskCurve(RATES, [0.0] * len(RATES), 0.001)),
        "authentic": dataclasses.asdict(RiskCurve(RATES, [-1.0] * len(RATES), 0.001, "authentic")),
    },
}


def random_decoder(seed: int) -> LocalizerDecoder:
    torch.manual_seed(seed)
    model = LocalizerDecoder(torch.randn(len(DEPTHS), 768), torch.rand(len(DEPTHS), 768) + 0.5).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    return model


@pytest.fixture(scope="module")
def members() -> dict[str, LocalizerDecoder]:
    return {"a": random_decoder(1), "b": random_decoder(2)}


@pytest.fixture(scope="module")
def weights(members: dict[str, LocalizerDecoder], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights with a random foundation and two random members, exported from a run."""
    run, folder = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("weights")
    write_tensors(run / BASE_NAME, random_base())
    for name, member in members.items():
        write_tensors(run / f"{name}.safetensors", member.state_dict())
    write_json(run / "run.json", CARD | {"recipe": {"gate": "features"}})
    files = export_localizer(run, run / BASE_NAME, folder)
    assert [file.name for file in files] == [BASE_NAME, "localizer.onnx", "localizer.json"]
    return folder


def test_decoder_and_gate_have_the_shapes_they_promise() -> None:
    decoder = LocalizerDecoder()
    assert decoder(torch.randn(2, len(DEPTHS), CELLS * CELLS, 768)).shape == (2, MAP, MAP)
    assert sum(parameter.numel() for parameter in decoder.parameters()) < 2e6
    gate = Gate(8)
    assert [type(layer).__name__ for layer in gate] == [
        *("Conv2d", "BatchNorm2d", "ReLU") * 2,
        "Conv2d",
        "Sigmoid",
    ]
    share = gate(torch.randn(2, 8, 6, 6))
    assert share.shape == (2, 1, 6, 6)
    assert 0 < share.min() <= share.max() < 1


def test_position_embedding_keeps_the_class_token_and_the_plane() -> None:
    rows = torch.linspace(0, 1, 14).repeat_interleave(14)
    embedding = torch.cat([torch.full((1, 1, 768), 7.0), rows[None, :, None].expand(1, 196, 768)], 1)
    grown = position_embedding(embedding)
    assert grown.shape == (1, 785, 768)
    assert (grown[0, 0] == 7).all()
    plane = grown[0, 1:, 0].view(28, 28)
    assert torch.allclose(plane[:, 0], plane[:, 27])
    assert (plane[1:, 0] > plane[:-1, 0]).all()


def test_the_graph_is_the_trained_model(weights: Path, members: dict[str, LocalizerDecoder]) -> None:
    rgb = fitted(picture(3), SIDE)[None]
    found, tokens = Network(weights / "localizer.onnx", precision_hint="f32", quantized=False)(rgb)
    assert tokens.shape == (1, len(DEPTHS), CELLS * CELLS, 768)
    with torch.no_grad():
        expected = torch.stack([member(torch.from_numpy(tokens)) for member in members.values()], 1)
    # The members' matrices are stored in half precision.
    np.testing.assert_allclose(found, expected.numpy(), atol=5e-3 * float(expected.abs().max()))


@pytest.fixture(scope="module")
def localizer(weights: Path) -> Localizer:
    return Localizer(weights)


def test_a_tile_is_seen_as_a_whole_picture_is(localizer: Localizer) -> None:
    rgb = np.full((SIDE, 600, 3), (90, 120, 200), np.uint8)
    told: list[tuple[int, int]] = []
    whole = localizer.localize(rgb[:, :SIDE])
    localizer.mode = Mode.tiles
    try:
        tiles = localizer.localize(rgb, lambda done, total: told.append((done, total)))
    finally:
        localizer.mode = Mode.auto
    assert told == [(1, 2), (2, 2)]
    assert (whole.tiles, tiles.tiles) == (1, 2)
    assert whole.probability == pytest.approx(tiles.probability, abs=1e-6)
    assert tiles.probability_map.shape == (SIDE, 600)
    assert tiles.probability_map.dtype == np.float32
    # All tiles of a constant picture look alike; each end belongs to one tile alone.
    np.testing.assert_allclose(tiles.probability_map[:, :150], whole.probability_map[:, :150], atol=1e-5)
    np.testing.assert_allclose(tiles.probability_map[:, -150:], whole.probability_map[:, -150:], atol=1e-5)


def test_localizer_refuses_settings_and_files_that_do_not_fit(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="precise, balanced, sensitive"):
        Localizer(weights, preset="best")
    with pytest.raises(ValueError, match="1, 4 or 8"):
        Localizer(weights, flips=3)
    with pytest.raises(WeightError, match=r"localizer\.json"):
        Localizer(tmp_path)


def test_instances_keep_what_is_large_enough_for_the_picture() -> None:
    probability = np.zeros((512, 512), np.float32)
    probability[10:30, 10:30] = 0.9  # 400 pixels
    probability[30:40, 30:50] = 0.7  # touches it at a corner: one region of 600
    probability[100:110, 100:120] = 0.8  # 200 pixels: too small
    labels, instances = find_instances(probability, 0.5, 300)
    assert [(each.box, each.area) for each in instances] == [((10, 10, 50, 40), 600)]
    assert instances[0].probability == pytest.approx((400 * 0.9 + 200 * 0.7) / 600)
    assert instances[0].share == pytest.approx(600 / 512**2)
    assert (labels > 0).sum() == 600
    assert len(find_instances(probability, 0.5, 150)[1]) == 2
    assert [each.area for each in find_instances(probability, 0.85, 300)[1]] == [400]
    # The same 600 pixels are too small a part of a picture four times as large.
    assert not find_instances(np.pad(probability, ((0, 512), (0, 512))), 0.5, 300)[1]


def test_members_are_joined_by_weight_and_the_small_one_by_maximum() -> None:
    logits = logit(np.array([0.2, 0.8, 0.9, 0.1])).reshape(4, 1, 1)
    weights = {"a": 1.0, "b": 2.0}
    joined = combined(logits[:3], ["a", "b", "small"], weights, {"small": 0.8})
    assert sigmoid(joined).item() == pytest.approx(0.72)
    joined = combined(logits[[0, 1, 3]], ["a", "b", "small"], weights, {"small": 0.8})
    assert sigmoid(joined).item() == pytest.approx(0.6)


def test_the_score_is_the_mean_of_the_top() -> None:
    values = np.arange(400.0).reshape(20, 20)
    assert top_score(values) == pytest.approx(398.5)  # two of 400 cells
    assert top_score(np.stack([values, -values])).tolist() == [398.5, -0.5]


@pytest.mark.parametrize(("length", "expected"), [(100, [0]), (448, [0]), (449, [0, 1]), (900, [0, 226, 452])])
def test_tiles_cover_a_side_evenly(length: int, expected: list[int]) -> None:
    begins = starts(length, 448, 64)
    assert begins == expected
    shares = feather(begins, 448, length)
    np.testing.assert_allclose(shares.sum(0), 1, rtol=1e-6)


def test_every_picture_is_on_one_side_by_its_name() -> None:
    sides = {side_of(f"kind/{i}", (0.2, 0.3)) for i in range(100)}
    assert sides == {"train", "val", "test"}
    assert side_of("kind/7", (0.2, 0.3)) == side_of("kind/7", (0.2, 0.3))


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    for i in range(2):
        Image.fromarray(picture(i)).save(tmp_path / f"{i}.png")
    mask = np.zeros((224, 224), np.uint8)
    mask[50:100, 60:120] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    plain = [Source(tmp_path / f"{i}.png", "plain", "train", str(i)) for i in range(2)]
    return [*plain, Source(tmp_path / "1.png", "edited", "train", "1", mask=tmp_path / "mask.png")]


def test_a_plan_can_be_made_again(sources: list[Source]) -> None:
    samples = plan(sources, "train", 3, 4, 2, seed=5)
    assert [sample.forge for sample in samples if sample.source.kind == "plain"] == ["", "", "", *KINDS]
    assert [sample.source.kind for sample in samples].count("edited") == 2
    assert samples == plan(sources, "train", 3, 4, 2, seed=5)
    assert not plan(sources, "test", 3, 4, 2, seed=5)
    for sample in samples:
        rgb, mask = make(sample)
        again, _ = make(sample)
        np.testing.assert_array_equal(rgb, again)
        assert mask.shape == rgb.shape[:2]
        assert (mask == 1).any() == sample.forged


def test_sources_of_copies_are_not_judged_in_training_but_count_when_measured(sources: list[Source]) -> None:
    sample = Sample(sources[0], "copy_move", 3)
    trained, measured = make(sample)[1], make(sample, changed=False)[1]
    assert (trained == IGNORED).any()
    assert set(np.unique(measured)) == {0, 1}
    np.testing.assert_array_equal(trained > 0, measured > 0)
    cells = target(trained)
    assert cells.shape == (MAP, MAP)
    assert {0, FULL, IGNORED} <= set(np.unique(cells).tolist())


@pytest.mark.parametrize("name", MEMBERS)
def test_the_loss_falls_towards_the_truth_and_leaves_out_what_is_ignored(name: str) -> None:
    loss = MEMBERS[name].loss
    targets = torch.zeros(1, MAP, MAP, dtype=torch.uint8)
    targets[0, 20:40, 20:40] = FULL
    truth = torch.where(targets > 0, 4.0, -4.0)
    losses = [float(localisation_loss(factor * truth, targets, loss)) for factor in (1, 0, -1)]
    assert losses == sorted(losses)
    targets[0, 60:, 60:] = IGNORED
    shouted = truth.clone()
    shouted[0, 60:, 60:] = 9
    assert float(localisation_loss(shouted, targets, loss)) == pytest.approx(
        float(localisation_loss(truth, targets, loss))
    )
