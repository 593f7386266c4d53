"""The six specialists: the table, the shapes, the gradients, the folding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from interceptor.models.backbones import BACKBONES, Backbone, FoundationBackbone
from interceptor.models.branches import GRID, SpecialistModule
from interceptor.models.modules import MODULES, module_spec
from interceptor.models.specialist import SpecialistHead, SpecialistModel, TokenFusion, padded_width
from interceptor.training.folding import folded
from interceptor.training.specialists.export import write_specialist
from test_self_blend import picture
from tiny_data import random_base

TABLE = {
    "ll": (68, 3332, 5128),
    "bg": (44, 2156, 3952),
    "av": (48, 2352, 4144),
    "cm": (40, 1960, 3752),
    "rr": (36, 1764, 3560),
    "tm": (52, 2548, 4344),
}
"""channels, features, padded width beside 1792 backbone features"""

every = pytest.mark.parametrize("code", TABLE)


class Pixels(Backbone):
    """A backbone without parameters: each place's mean colour, repeated."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.width = width
        self.pool = nn.AdaptiveAvgPool2d(GRID)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = self.pool(images.float() / 255).flatten(2).transpose(1, 2)
        tokens = tokens.repeat(1, 1, self.width // 3)
        return tokens, tokens.mean(1)


def lived_in(model: nn.Module) -> nn.Module:
    """Batch norms as after training, not as they start."""
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 2)
            norm.weight.data.uniform_(0.5, 1.5)
            norm.bias.data.normal_(0, 0.1)
    return model.eval()


def inputs(n: int = 2, size: int = 112) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 3, 224, 224), dtype=torch.uint8, generator=random), torch.randn(
        n, 3, size, size, generator=random
    )


def test_the_table_names_six() -> None:
    assert list(MODULES) == list(TABLE)
    with pytest.raises(ValueError, match="ll, bg, av, cm, rr, tm"):
        module_spec("xx")


@every
def test_channels_features_and_padded_width(code: str) -> None:
    spec = module_spec(code)
    assert (spec.channels, spec.features, padded_width(1792, spec)) == TABLE[code]
    assert spec.model_type == f"{code}_specialist"


@every
@pytest.mark.parametrize("size", [112, 224])
def test_a_module_gives_its_channels_on_the_grid(code: str, size: int) -> None:
    module = SpecialistModule(module_spec(code)).eval()
    with torch.no_grad():
        assert module(torch.randn(2, 3, size, size)).shape == (2, TABLE[code][0], GRID, GRID)


@every
def test_pooling_before_the_last_convolution_equals_pooling_after_it(code: str) -> None:
    module = lived_in(SpecialistModule(module_spec(code)))
    lens = inputs()[1]
    with torch.no_grad():
        for branch in module.branches.values():
            after = nn.functional.adaptive_avg_pool2d(branch.mix(branch.local(lens)), GRID)
            torch.testing.assert_close(branch(lens), after, rtol=1e-4, atol=1e-5)


@every
@pytest.mark.parametrize("fusion", ["vector", "tokens"])
def test_gradients_reach_every_parameter(code: str, fusion: str) -> None:
    model = SpecialistModel(module_spec(code), Pixels(), fusion)
    images, lens = inputs(4)
    nn.functional.cross_entropy(model(images, lens), torch.tensor([0, 1, 0, 1])).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@every
@pytest.mark.parametrize("fusion", ["vector", "tokens"])
def test_saved_and_loaded_it_answers_the_same(code: str, fusion: str, tmp_path: Path) -> None:
    model = lived_in(SpecialistModel(module_spec(code), Pixels(), fusion))
    torch.save(model.state_dict(), tmp_path / "model.pt")
    other = SpecialistModel(module_spec(code), Pixels(), fusion).eval()
    other.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    with torch.no_grad():
        assert torch.equal(model(*inputs()), other(*inputs()))


@every
@pytest.mark.parametrize("fusion", ["vector", "tokens"])
def test_scripted_it_has_the_shapes_of_the_table_and_answers_the_same(code: str, fusion: str) -> None:
    model = lived_in(SpecialistModel(module_spec(code), Pixels(), fusion))
    scripted = torch.jit.script(model)
    for n, size in ((1, 112), (3, 224)):
        images, lens = inputs(n, size)
        with torch.no_grad():
            assert scripted.head.module(lens).shape == (n, TABLE[code][0], GRID, GRID)
            logits = scripted(images, lens)
            assert logits.shape == (n, 2)
            torch.testing.assert_close(logits, model(images, lens))


def test_token_fusion_learns_where_something_is() -> None:
    """Features that are the same but for their place, which a mean over places cannot tell."""
    torch.manual_seed(0)
    spec = module_spec("av")
    fusion = TokenFusion(12, spec.channels)
    here, there = torch.zeros(2, 1, spec.channels, GRID, GRID).unbind()
    here[..., 1, 3], there[..., 5, 3] = 1, 1
    features, labels = torch.cat([here, there]), torch.tensor([0.0, 1.0])
    readout = nn.Linear(fusion.width, 1)
    optimizer = torch.optim.AdamW([*fusion.parameters(), *readout.parameters()], lr=3e-3)
    for _ in range(30):
        logits = readout(fusion(torch.zeros(2, GRID**2, 12), torch.zeros(2, 12), features))[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.2


def test_an_unknown_fusion_names_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="vector, tokens"):
        SpecialistHead(module_spec("ll"), 12, "sum")  # type: ignore[arg-type]


@pytest.mark.parametrize(("code", "fusion"), [*((code, "vector") for code in TABLE), ("ll", "tokens")])
def test_the_exported_file_answers_as_the_model(code: str, fusion: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = lived_in(SpecialistModel(module_spec(code), Pixels(), fusion))
    file = tmp_path / "specialist.onnx"
    write_specialist(folded(model), file, lens_size=112)
    session = onnxruntime.InferenceSession(file)
    for n in (1, 3):
        images, lens = inputs(n)
        with torch.no_grad():
            authentic, forged = model(images, lens).numpy().T
        crops = np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
        found = session.run(None, {"crops": crops, "lens": lens.numpy()})[0]
        np.testing.assert_allclose(found, forged - authentic, rtol=1e-4, atol=1e-4)


def test_a_real_specialist_is_folded_and_exported_exactly(tmp_path: Path) -> None:
    """EfficientNet-B4 at 224 pixels, on faces and lenses that it tells apart."""
    torch.manual_seed(0)
    model = SpecialistModel(module_spec("rr"), BACKBONES["efficientnet_b4"].build(), "vector")
    images = torch.from_numpy(np.stack([picture(i) for i in range(6)])).permute(0, 3, 1, 2)
    lens = inputs(6, 224)[1] * torch.linspace(0.2, 1, 6).view(6, 1, 1, 1)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            norm.momentum = 1.0
    with torch.no_grad():
        model.train()(images, lens)  # batch norms as after training
        authentic, forged = model.eval()(images, lens).numpy().T
    assert np.ptp(forged - authentic) > 0.1
    write_specialist(folded(model), tmp_path / "specialist.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "specialist.onnx")
    crops = np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
    found = session.run(None, {"crops": crops, "lens": lens.numpy()})[0]
    np.testing.assert_allclose(found, forged - authentic, rtol=0, atol=1e-4)


def test_folding_takes_the_background_specialist_from_a_hundred_million_parameters_to_a_fraction() -> None:
    spec = module_spec("bg")
    model = SpecialistModel(spec, Pixels(1792), "vector").eval()
    before = sum(p.numel() for p in model.parameters())
    after = sum(p.numel() for p in folded(model).parameters())
    assert before > 80e6
    assert after < 6e6
    assert not any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in folded(model).modules())


@pytest.mark.parametrize("name", BACKBONES)
def test_a_backbone_gives_a_grid_of_tokens_and_their_vector(name: str) -> None:
    spec = BACKBONES[name]
    backbone = (spec.build(random_base()) if spec.build is FoundationBackbone else spec.build()).eval()
    with torch.no_grad():
        tokens, pooled = backbone(inputs()[0])
    assert backbone.width == spec.width
    assert tokens.shape == (2, GRID * GRID, spec.width)
    assert pooled.shape == (2, spec.width)
    torch.testing.assert_close(pooled, tokens.mean(1), rtol=1e-3, atol=1e-3)
