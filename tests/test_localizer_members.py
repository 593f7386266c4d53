"""Training of the localizers' members: recipes, losses, mining, augmentation, checkpoints, all six runs in small."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from interceptor.cli import app
from interceptor.detect.localize import Localizer
from interceptor.media.inputs import network_input
from interceptor.models.localizer import CELLS, DEPTHS
from interceptor.models.localizer_full import ENCODERS, FullLocalizer
from interceptor.runtime.network import Network
from interceptor.training.checkpoints import CheckpointError, write_tensors
from interceptor.training.localizers.augment import as_target, augmented, zoomed
from interceptor.training.localizers.checkpoints import Architecture, Checkpoint, read_checkpoint, write_checkpoint
from interceptor.training.localizers.data import FULL, IGNORED, Sample, Source, make, plan, target
from interceptor.training.localizers.draws import draw_weights
from interceptor.training.localizers.full import FullRecipe, FullRun
from interceptor.training.localizers.loss import dice_loss, focal_loss, localisation_loss
from interceptor.training.localizers.mining import mine, read_list, write_list
from interceptor.training.localizers.recipes import MEMBERS, STANDARD, Loss, Tier, member
from interceptor.training.localizers.run import opened
from interceptor.training.localizers.sources import layout_sources, side_of
from interceptor.training.localizers.trainer import LocalizerRun, Recipe
from interceptor.training.screen import override
from test_self_blend import picture

SMALL = ["encoder=efficientnet_lite0", "side=64", "epochs=1", "steps=1", "batch=2", "authentic=3", "forged=4"]
SMALL += ["val_authentic=1", "val_forged=4"]


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_network_has_the_parameters_that_are_stated() -> None:
    assert count(FullLocalizer(gate="none")) == 9_465_219
    gated = FullLocalizer(channels=4)
    assert count(gated.gate) == 45_377
    assert count(gated) == 9_465_219 + 45_377 + 32 * 9  # a fourth channel for the first convolution's 32 filters


@pytest.mark.parametrize("gate", ["features", "logits", "none"])
def test_logits_have_the_pictures_size_and_the_gate_weighs_what_it_should(gate: str) -> None:
    torch.manual_seed(0)
    model = FullLocalizer("efficientnet_lite0", gate=gate).eval()
    pictures = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        found = model(pictures)
        assert found.shape == (1, 64, 96)
        plain = model.segmentation_head(model.decoder(model.encoder(pictures)))[:, 0]
        if gate == "none":
            torch.testing.assert_close(found, plain)
            return
        torch.nn.init.zeros_(model.gate[-2].weight)
        torch.nn.init.constant_(model.gate[-2].bias, -50)  # shut
        shut = model(pictures)
    bias = model.segmentation_head[0].bias.item()
    assert shut == pytest.approx(bias if gate == "features" else 0, abs=1e-5)


def test_the_network_refuses_what_it_does_not_know_and_takes_timms_weights() -> None:
    with pytest.raises(ValueError, match=", ".join(ENCODERS)):
        FullLocalizer("resnet50")
    with pytest.raises(ValueError, match="3 channels"):
        FullLocalizer(channels=5)
    with pytest.raises(ValueError, match="features, logits, none"):
        FullLocalizer(gate="both")
    donor = FullLocalizer("efficientnet_lite0").encoder.state_dict()
    imagenet = {name.removeprefix("model."): tensor for name, tensor in donor.items()}
    model = FullLocalizer("efficientnet_lite0", channels=4)
    model.start_from(imagenet)
    stem = model.encoder.state_dict()["model.conv_stem.weight"]
    torch.testing.assert_close(stem[:, :3], imagenet["conv_stem.weight"])
    torch.testing.assert_close(stem[:, 3], imagenet["conv_stem.weight"].mean(1))
    with pytest.raises(ValueError, match="lacks"):
        model.start_from({"conv_stem.weight": stem})
    with pytest.raises(ValueError, match="another encoder"):
        FullLocalizer("efficientnet_lite2").start_from(
            {name: torch.zeros(7) for name in _timm_names("efficientnet_lite2")}
        )


def _timm_names(encoder: str) -> list[str]:
    return [name.removeprefix("model.") for name in FullLocalizer(encoder).encoder.state_dict()]


def test_losses_are_what_their_papers_say() -> None:
    logits, truth = torch.tensor([[[0.0, 2.0, -1.0]]]), torch.tensor([[[1.0, 1.0, 0.0]]])
    p = 1 / (1 + np.exp(-logits.numpy().ravel()))
    focal = [0.7 * (1 - p[0]) ** 2 * -np.log(p[0]), 0.7 * (1 - p[1]) ** 2 * -np.log(p[1])]
    focal.append(0.3 * p[2] ** 2 * -np.log(1 - p[2]))
    every = torch.ones_like(truth)
    assert focal_loss(logits, truth, every, 0.7, 2).item() == pytest.approx(np.mean(focal), rel=1e-5)
    assert dice_loss(logits, truth, every).item() == pytest.approx(
        1 - (2 * (p[0] + p[1]) + 1) / (p.sum() + 2 + 1), rel=1e-5
    )
    first = torch.tensor([[[1.0, 0.0, 0.0]]])
    assert focal_loss(logits, truth, first, 0.7, 2).item() == pytest.approx(focal[0], rel=1e-5)
    assert dice_loss(logits, truth, first).item() == pytest.approx(1 - (2 * p[0] + 1) / (p[0] + 1 + 1), rel=1e-5)
    targets = torch.tensor([[[FULL, FULL, IGNORED]]], dtype=torch.uint8)
    joint = localisation_loss(logits, targets, Loss(0.7, 2, 0.6, 0.4)).item()
    seen = torch.tensor([[[1.0, 1.0, 0.0]]])
    parts = focal_loss(logits, truth, seen, 0.7, 2), dice_loss(logits, truth, seen)
    assert joint == pytest.approx(0.6 * parts[0].item() + 0.4 * parts[1].item(), rel=1e-5)


def test_recipes_are_the_six_of_the_table() -> None:
    assert {name: row.weight for name, row in MEMBERS.items()} == {
        "highres_no_ela": 1.5,
        "hard_negative": 1.2,
        "high_recall": 1.0,
        "enhanced_aug": 0.8,
        "comprehensive": 0.5,
        "small_forgery": 0,
    }
    assert [name for name, row in MEMBERS.items() if row.error_levels] == ["comprehensive"]
    assert MEMBERS["small_forgery"].full.length == 40
    assert STANDARD == ("highres_no_ela", "hard_negative", "high_recall", "small_forgery")
    with pytest.raises(ValueError, match="highres_no_ela, hard_negative"):
        member("best")
    with pytest.raises(ValueError, match="full tier only"):
        member("comprehensive").schedule(Tier.standard)


def samples_of(*what: tuple[str, str, str]) -> list[Sample]:
    """Samples of (kind, forge, split)."""
    return [
        Sample(Source(Path(f"{i}.png"), kind, split, str(i)), forge, i) for i, (kind, forge, split) in enumerate(what)
    ]


def test_small_hard_and_missed_samples_are_drawn_more_often() -> None:
    samples = samples_of(*[("a", "", "train")] * 2, *[("a", "splice", "train")] * 3, ("b", "removal", "train"))
    areas = np.array([0, 0, 0.001, 0.01, 0.5, 0.1])

    def listed(what: str) -> np.ndarray:
        return np.array([what == "negatives", False, False, what == "misses", False, False])

    def drawn(name: str) -> np.ndarray:
        weights = draw_weights(MEMBERS[name], samples, areas, listed, authentic_share=0.4)
        assert weights[:2].sum() == pytest.approx(0.4)
        assert weights.sum() == pytest.approx(1)
        return weights

    base = drawn("highres_no_ela")
    assert base[2] == pytest.approx(3 * base[4])
    assert base[5] == pytest.approx(3 * base[4])  # the only one of its kind
    small = drawn("small_forgery")
    assert small[4] == small[5] == 0
    assert small[2] == pytest.approx(5 * small[3])
    assert drawn("hard_negative")[0] == pytest.approx(2 * drawn("hard_negative")[1])
    assert drawn("high_recall")[3] == pytest.approx(5 * drawn("high_recall")[4])
    with pytest.raises(ValueError, match="no forged"):
        draw_weights(MEMBERS["small_forgery"], samples[:2], areas[:2], listed, authentic_share=0.4)


def test_mining_lists_what_is_wrong_and_nothing_that_was_kept_out(tmp_path: Path) -> None:
    samples = samples_of(*[("a", "", "train")] * 3, *[("b", "splice", "train")] * 3)
    forged = np.zeros((50, 50), np.uint8)
    forged[:10, :10] = FULL
    calm, fires, specks = (np.full((50, 50), -1.0) for _ in range(3))
    fires[:5], specks[0, :2] = 1, 1  # 10 % and .08 %
    half, less = np.full((50, 50), -1.0), np.full((50, 50), -1.0)
    half[:5, :10], less[:4, :10] = 1, 1
    blank = np.zeros_like(forged)
    maps = [(calm, blank), (fires, blank), (specks, blank), (half, forged), (less, forged), (fires, blank)]
    negatives, misses = mine("negatives", samples, maps), mine("misses", samples, maps)
    assert [(row.sample, row.share) for row in negatives] == [(samples[1].name, 0.1)]
    assert [(row.sample, row.share) for row in misses] == [(samples[4].name, 0.4)]
    file = tmp_path / "misses.csv"
    write_list(file, misses)
    assert read_list(file, samples).tolist() == [False] * 4 + [True, False]
    with pytest.raises(CheckpointError, match="mine this run anew"):
        read_list(file, samples[:3])
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(CheckpointError, match="not a list"):
        read_list(tmp_path / "other.csv", samples)
    for split in ("val", "test"):
        with pytest.raises(ValueError, match="must not be mined"):
            mine("negatives", [*samples[:2], *samples_of(("a", "", split))], maps[:3])
    with pytest.raises(ValueError, match="negatives, misses"):
        mine("best", samples, maps)


def test_augmentation_keeps_picture_and_mask_together() -> None:
    mask = np.zeros((120, 160), np.uint8)
    mask[30:60, 40:80] = 1
    rgb = np.where(mask[..., None] == 1, (230, 30, 30), (20, 90, 200)).astype(np.uint8)
    for name, row in MEMBERS.items():
        for seed in range(6):
            seen, marked = augmented(rgb, mask, row, np.random.default_rng(seed))
            assert seen.dtype == marked.dtype == np.uint8
            assert seen.shape[:2] == marked.shape
            assert set(np.unique(marked)) <= {0, 1, IGNORED}
            if not row.strong:  # copies are of either colour
                red = seen[..., 0].astype(int) > seen[..., 2]
                assert ((marked == 1) == red).mean() > 0.97, name
    part, marked = zoomed(rgb, mask, np.random.default_rng(0))
    assert (marked == 1).any()
    assert part.shape[0] < 120


def test_what_the_network_sees() -> None:
    rgb = picture(0)
    assert network_input(rgb, 64, error_levels=False).shape == (3, 64, 64)
    assert network_input(rgb, 64, error_levels=True).shape == (4, 64, 64)
    assert abs(network_input(np.full((50, 50, 3), 116, np.uint8), 32, error_levels=False)).max() < 0.3
    mask = np.zeros((100, 100), np.uint8)
    mask[:50], mask[50:60] = 1, IGNORED
    assert set(np.unique(as_target(mask, 50))) == {0, FULL, IGNORED}


def test_checkpoints_hold_the_four_keys_and_legacy_ones_are_read(tmp_path: Path) -> None:
    architecture = Architecture("highres_no_ela", "efficientnet_lite0", side=64)
    model = architecture.build()
    moments = {"step.gate.0.weight": torch.tensor(3.0)}
    file = tmp_path / "a.safetensors"
    write_checkpoint(file, Checkpoint(architecture, model.state_dict(), moments, 4, 0.5))
    found = read_checkpoint(file)
    assert (found.epoch, found.best_dice, found.architecture) == (4, 0.5, architecture)
    assert found.optimizer_state_dict["step.gate.0.weight"] == 3
    torch.testing.assert_close(dict(found.model().state_dict()), dict(model.state_dict()))

    legacy = {"optimizer_state_dict": {"state": {}, "param_groups": []}, "epoch": 7, "best_dice": 0.25}
    legacy["model_state_dict"] = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save(legacy, tmp_path / "b.pt")
    old = read_checkpoint(tmp_path / "b.pt", architecture)
    assert (old.epoch, old.best_dice) == (7, 0.25)
    torch.testing.assert_close(dict(old.model().state_dict()), dict(model.state_dict()))
    with pytest.raises(CheckpointError, match="which network"):
        read_checkpoint(tmp_path / "b.pt")
    with pytest.raises(CheckpointError, match="do not fit"):
        read_checkpoint(tmp_path / "b.pt", Architecture("comprehensive", "efficientnet_lite0", 4)).model()
    torch.save({"model_state_dict": {}}, tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="lacks optimizer_state_dict"):
        read_checkpoint(tmp_path / "c.pt", architecture)
    torch.save({"model_state_dict": Path("x")}, tmp_path / "d.pt")  # would have to be unpickled
    with pytest.raises(CheckpointError, match="plain values"):
        read_checkpoint(tmp_path / "d.pt", architecture)


@pytest.fixture(scope="module")
def case_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set in the Recod.ai layout: six cases, of which one has an all-black mask and one a mask of another
    size.
    """
    root = tmp_path_factory.mktemp("recodai")
    for part in ("train_images/authentic", "train_images/forged", "train_masks"):
        (root / part).mkdir(parents=True)
    for i in range(16):
        rgb = picture(i)
        Image.fromarray(rgb).save(root / f"train_images/authentic/{i}.png")
        planes = np.zeros((2, *rgb.shape[:2]), np.uint8)
        planes[0, 20:60, 30:90], planes[1, 100:150, 50:80] = 1, 1
        if i == 2:
            planes[:] = 0
        forged = rgb.copy()
        forged[planes.any(0)] = forged[planes.any(0)] // 2 + 60
        Image.fromarray(forged).save(root / f"train_images/forged/{i}.png")
        np.save(root / f"train_masks/{i}.npy", planes[:, :-1] if i == 3 else planes)
    return root


def test_a_public_set_is_split_by_case_and_bad_masks_are_named(case_folder: Path) -> None:
    told: list[tuple[str, str]] = []
    sources = layout_sources("recodai", case_folder, (0.25, 0.25), lambda path, cause: told.append((path.name, cause)))
    assert told == [("2.png", "empty_mask"), ("3.png", "mask_size")]
    assert len(sources) == 30
    sides = {group: {each.split for each in sources if each.group == group} for group in {s.group for s in sources}}
    assert all(len(side) == 1 for side in sides.values())
    assert set.union(*sides.values()) == {"train", "val", "test"}
    assert sides["5"] == {side_of("recodai/5", (0.25, 0.25))}
    assert sum(each.mask is not None for each in sources) == 14


def test_all_six_train_on_a_few_pictures_and_learn_from_lists(case_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ["--tier", "full", "--data", f"recodai={case_folder}", "--val", "0.3", "--test", "0.2", "--init", "none"]
    options += ["--out", str(out), *(word for setting in SMALL for word in ("--set", setting))]
    trained = CliRunner().invoke(app, ["train", "localizer", "highres_no_ela", *options])
    assert trained.exit_code == 0, trained.output
    tier, settings, sources = opened(out)
    assert (tier, settings["side"]) == (Tier.full, 64)
    for what in ("negatives", "misses"):
        mined = CliRunner().invoke(app, ["mine", what, str(out), "--format", "json"])
        assert mined.exit_code == 0, mined.output
        with (out / f"{what}.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == json.loads(mined.stdout)["samples"]
        of_train = {source.path.name for source in sources if source.split == "train"}
        assert {row["picture"] for row in rows} <= of_train
    trained = CliRunner().invoke(app, ["train", "localizer", *options])
    assert trained.exit_code == 0, trained.output
    for name, row in MEMBERS.items():
        found = read_checkpoint(out / f"{name}.safetensors")
        assert found.epoch == 1
        assert found.architecture.channels == (4 if row.error_levels else 3)
        assert found.optimizer_state_dict
        card = json.loads((out / f"{name}.run.json").read_text())
        assert card["validation"]["dice"] == found.best_dice
    for name in {*MEMBERS} - {"comprehensive"}:
        (out / f"{name}.safetensors").unlink()
    export = [
        "export",
        "localizer",
        str(out),
        "--out",
        str(tmp_path / "models"),
        "--alarms",
        str(tmp_path / "kept_out"),
    ]
    assert CliRunner().invoke(app, export).exit_code == 2  # there are none
    kept_out = tmp_path / "kept_out" / "figures" / "authentic"
    kept_out.mkdir(parents=True)
    for i in range(2):
        Image.fromarray(picture(i)).save(kept_out / f"{i}.png")
    exported = CliRunner().invoke(app, export)
    assert exported.exit_code == 0, exported.output
    counted = json.loads((tmp_path / "models" / "localizer_full.json").read_text())["false_alarms"]
    seen = [Localizer(tmp_path / "models", tier="full").localize(picture(i)).verdict for i in range(2)]
    assert counted == {"figures": {"called": seen.count("forged"), "of": 2}}
    found = Localizer(tmp_path / "models", tier="full").localize(picture(0))
    assert found.probability_map.shape == picture(0).shape[:2]
    model = read_checkpoint(out / "comprehensive.safetensors").model().eval()
    seen = network_input(picture(0), 96, error_levels=True)[None]
    with torch.no_grad():
        expected = model(torch.from_numpy(seen))[:, None].numpy()
    network = Network(tmp_path / "models" / "localizer_full_comprehensive.onnx", shape=seen.shape)
    np.testing.assert_allclose(
        network(seen)[0], expected, atol=0.06 * abs(expected).max()
    )  # the runtime may compute in bfloat16

    other = CliRunner().invoke(app, ["train", "localizer", *options, "--set", "seed=2"])
    assert other.exit_code == 2
    assert "another recipe" in other.output


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    case_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = layout_sources("recodai", case_folder, (0.3, 0.2), lambda path, cause: None)
    settings = [*SMALL, "epochs=2", "members=enhanced_aug"]

    def run(out: Path) -> FullRun:
        return FullRun("none", sources, out, override(FullRecipe(), settings), lambda *told: None)

    run(tmp_path / "whole").run()
    validate, calls = FullRun._validate, []

    def once(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return validate(*arguments)

    monkeypatch.setattr(FullRun, "_validate", once)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken").run()
    run(tmp_path / "broken").run()
    whole, broken = (read_checkpoint(tmp_path / name / "enhanced_aug.last.safetensors") for name in ("whole", "broken"))
    assert broken.epoch == whole.epoch == 2
    for part in ("model_state_dict", "optimizer_state_dict"):
        torch.testing.assert_close(dict(getattr(broken, part)), dict(getattr(whole, part)))


def test_the_standard_members_train_on_cached_tokens_and_mined_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = []
    for i in range(3):
        Image.fromarray(picture(i)).save(tmp_path / f"{i}.png")
        sources.append(Source(tmp_path / f"{i}.png", "plain", "val" if i == 2 else "train", str(i)))
    for name in STANDARD:
        short = dataclasses.replace(MEMBERS[name].schedule(Tier.standard), length=2)
        # Of so few forgeries all may be large.
        monkeypatch.setitem(MEMBERS, name, dataclasses.replace(MEMBERS[name], standard=short, below=1.0))
    recipe = Recipe(authentic=2, forged=4, val_authentic=2, val_forged=4, batch=2)
    out = tmp_path / "run"
    run = LocalizerRun(tmp_path / "no_base", sources, out, recipe, lambda *told: None)
    rng = np.random.default_rng(0)
    for split, authentic in (("train", 2), ("val", 2)):
        for sample in plan(sources, split, authentic, 4, 2 if split == "train" else 1, recipe.seed):
            tokens = torch.from_numpy(rng.normal(0, 1, (len(DEPTHS), CELLS**2, 768)).astype(np.float16))
            cached = {"tokens": tokens, "target": torch.from_numpy(target(make(sample)[1]))}
            write_tensors(out / "tokens" / split / f"{sample.name}.safetensors", cached)
    card = run.run()
    assert card["members"] == list(STANDARD)
    assert card["weights"] == {"highres_no_ela": 1.5, "hard_negative": 1.2, "high_recall": 1.0}
    assert card["union"] == {"small_forgery": 0.8}
    mined = {what: (out / f"{what}.csv").read_text() for what in ("negatives", "misses")}
    assert opened(out)[0] is Tier.standard
    done = CliRunner().invoke(app, ["mine", "misses", str(out), "--out", str(tmp_path / "again.csv")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "again.csv").read_text() == mined["misses"]
    (out / "highres_no_ela.safetensors").unlink()
    with pytest.raises(CheckpointError, match="train the member highres_no_ela first"):
        run.mine("misses")
