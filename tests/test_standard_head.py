"""A standard head hears its lens as statistics first, then through its module, and ships nothing that says nothing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from interceptor.models.modules import module_spec
from interceptor.models.standard import StandardHead
from interceptor.models.statistics import ILLUMINATION, illumination, texture
from interceptor.training.specialists.export import write_head

WIDTH = 64


def lenses(n: int = 4) -> torch.Tensor:
    return 0.3 * torch.randn(n, 3, 112, 112, generator=torch.Generator().manual_seed(0))


def grids(n: int = 4) -> torch.Tensor:
    return torch.randn(n, 49, WIDTH, generator=torch.Generator().manual_seed(1))


def new_head() -> StandardHead:
    torch.manual_seed(2)
    head = StandardHead(module_spec("rr"), WIDTH)
    head.standardise(grids(), lenses())
    head.standardise_module(lenses())
    return head.eval()


def trained(*, module: bool) -> StandardHead:
    """As after training: nothing that may say something is at 0."""
    head = new_head()
    spec = head.spec
    nn.init.normal_(head.classifier[-1].weight, std=0.3)
    head.readout.normal_(0, 0.05)
    if module:
        nn.init.normal_(head.fusion.features.weight[:, : spec.channels], std=0.2)
    return head


def test_the_share_of_a_token_that_the_network_hears() -> None:
    head = StandardHead(module_spec("ll"), 24)
    grid = 3 + 2 * torch.randn(20, 49, 24, generator=torch.Generator().manual_seed(3))
    for quiet in (0.02, 0.5):
        head.standardise(grid, lenses(), quiet)
        heard = (grid - head.fusion.mean) / head.fusion.std
        torch.testing.assert_close(heard.flatten(0, 1).std(0), torch.full((24,), quiet))
        mean, std = head.scale  # the read-out's does not change
        torch.testing.assert_close([mean, std], [grid.flatten(0, 1).mean(0), grid.flatten(0, 1).std(0)])


def test_a_flat_lens_is_its_mean_and_nothing_else() -> None:
    lens = torch.tensor([0.5, -0.2, 0.0]).view(1, 3, 1, 1).expand(2, 3, 112, 112)
    found = texture(lens)
    assert found.shape == (2, 15, 7, 7)
    for channel, value in enumerate((0.5, -0.2, 0.0)):
        torch.testing.assert_close(found[:, channel], torch.full((2, 7, 7), value))
        spread, magnitude, across, down = (found[:, 3 + 3 * kind + channel] for kind in range(4))
        torch.testing.assert_close(magnitude, torch.full((2, 7, 7), math.log(abs(value) + 1e-3)))
        for energy in (spread, across, down):
            torch.testing.assert_close(energy, torch.full((2, 7, 7), math.log(1e-3)), atol=1e-3, rtol=0)


def test_half_the_detail_in_one_place_is_log_two_less_there_and_nothing_elsewhere() -> None:
    lens = lenses(1)
    less = lens.clone()
    less[:, 1, 32:48, 80:96] /= 2
    change = texture(less) - texture(lens)
    for kind in range(4):
        assert change[0, 3 + 3 * kind + 1, 2, 5] == pytest.approx(-math.log(2), abs=0.02)
    change[0, 1::3, 2, 5] = 0
    assert not change.any()


def test_stripes_across_differ_across_alone() -> None:
    lens = torch.zeros(1, 3, 112, 112)
    lens[..., ::2] = 0.4
    found = texture(lens)[0].view(5, 3, 7, 7)
    torch.testing.assert_close(found[3], torch.full((3, 7, 7), math.log(0.4 + 1e-3)))
    torch.testing.assert_close(found[4], torch.full((3, 7, 7), math.log(1e-3)))


def test_another_light_on_part_of_a_face_is_a_step_at_its_rim_and_a_level_within() -> None:
    lens = torch.full((1, 3, 112, 112), -0.2)
    lit = lens.clone()
    lit[:, 0, 40:72, 48:64] = 0.1  # redder: of the middle half rows 12 to 44, columns 20 to 36
    told, change = illumination(lens), illumination(lit) - illumination(lens)
    assert told.shape == (1, ILLUMINATION.width, 7, 7)
    assert told[:, :12].abs().max() < 1e-4
    level, fine = change[0, 4:8].mean(0), change[0, 36:42]
    assert level[3, 3] - level[0, 0] == pytest.approx(math.log((1.1 * 127.5 + 8) / (0.8 * 127.5 + 8)), abs=0.01)
    assert fine[1, 3, 2] > 0.5  # red over green, across its left rim
    assert fine[4, 3, 3].abs() < 1e-3  # and not down, within it
    assert fine[2].abs().max() < 1e-3  # blue over green is as it was
    brighter = illumination((lens + 1) * 1.5 - 1 + 1e-4)
    assert (brighter - told)[:, :12].abs().max() < 1e-3  # the same light everywhere is none


def test_it_begins_with_nothing_and_its_module_is_heard_only_once_it_has_weights() -> None:
    head = new_head()
    assert not head.has_network
    with torch.no_grad():
        assert not head(grids(), grids().mean(1), lenses()).any()
    for module in (False, True):
        head = trained(module=module)
        assert (head.has_network, head.has_module) == (True, module)
        with torch.no_grad():
            parts = [head.network(grids(), grids().mean(1), lenses(), module=part) for part in (False, True)]
        assert torch.allclose(*parts) is not module


def test_looking_at_lenses_for_their_scale_changes_no_batch_norm() -> None:
    head = new_head()
    before = {name: tensor.clone() for name, tensor in head.module.state_dict().items()}
    head.standardise_module(lenses())
    assert all(torch.equal(before[name], tensor) for name, tensor in head.module.state_dict().items())
    with torch.no_grad():
        made = head.seen(lenses())
    assert made.shape == (4, head.spec.channels + 15, 7, 7)
    assert made.abs().max() <= 5


@pytest.mark.parametrize(
    ("kind", "operators"), [("readout", set()), ("network", {"Softmax"}), ("module", {"Softmax", "Conv"})]
)
def test_the_file_holds_what_says_something_and_answers_as_the_head(
    kind: str, operators: set[str], tmp_path: Path
) -> None:
    if kind == "readout":
        head = new_head()
        head.readout.normal_(0, 0.05)
    else:
        head = trained(module=kind == "module")
    file = tmp_path / "head.onnx"
    write_head(head, file)
    assert {node.op_type for node in onnx.load(file).graph.node} & {"Softmax", "Conv"} == operators
    with torch.no_grad():
        authentic, forged = head(grids(), grids().mean(1), lenses()).numpy().T
    session = onnxruntime.InferenceSession(file)
    (found,) = session.run(None, {"tokens": grids().numpy(), "lens": lenses().numpy()})
    np.testing.assert_allclose(found, forged - authentic, atol=0.03 * np.abs(forged - authentic).max() + 1e-4)
