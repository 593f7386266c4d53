"""The student: its run, its file, what it learns from."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from interceptor.cli import app
from interceptor.datasets.crops import read_crop
from interceptor.models.student import Student, start
from interceptor.runtime.network import Network
from interceptor.runtime.weights import load_card
from interceptor.training.checkpoints import CheckpointError, read_tensors, write_tensors
from interceptor.training.student.data import DistillBatches, Faces, draw_weights, read_logits, teach, write_logits
from interceptor.training.student.distill import DistillRun, Recipe, targets
from tiny_data import write_crops

RECIPE = Recipe(steps=3, pairs=2, size=64, frozen=1, warmup=1, validate_every=2, validate_crops=4, seed=5)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("data")
    return [write_crops(root / "swaps", 6), write_crops(root / "clips", 6, authentic_only=True)]


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("found")
    for crop in sorted(write_crops(folder / "made", 2).rglob("*.png")):
        crop.rename(folder / crop.name)
    return folder


@pytest.fixture(scope="module")
def teacher(data: list[Path], unlabelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of logits: 3 for a forged crop, -3 for an authentic one, 0 for an unlabelled one."""
    found = {}
    for split in ("train", "val"):
        faces = Faces.read(data, split, [unlabelled])
        found |= {name: (-3.0, 3.0, 0.0)[crop.label] for crop, name in zip(faces.crops, faces.names, strict=True)}
    file = tmp_path_factory.mktemp("teacher") / "logits.csv"
    write_logits(file, found)
    return file


def silent(stage: str, done: int, total: int, note: str) -> None:
    """No progress is shown in tests."""


def test_a_run_writes_checkpoint_card_and_the_best_student(
    data: list[Path], unlabelled: Path, teacher: Path, tmp_path: Path
) -> None:
    card = DistillRun(teacher, data, [unlabelled], "none", tmp_path, RECIPE, silent).run()
    assert [entry["step"] for entry in card["history"]] == [2, 3]
    assert card == json.loads((tmp_path / "run.json").read_text())
    assert card["best"]["selection"] == max(entry["selection"] for entry in card["history"])
    assert card["data"]["swaps"]["train"] == 8
    assert card["data"][unlabelled.name]["train"] == 4
    Student(RECIPE.size).load_state_dict(read_tensors(tmp_path / "best.safetensors"))
    assert not list(tmp_path.glob(".*.part"))


def test_a_resumed_run_is_the_very_same_run(data: list[Path], teacher: Path, tmp_path: Path) -> None:
    DistillRun(teacher, data, [], "none", tmp_path / "whole", RECIPE, silent).run()
    stopped = DistillRun(teacher, data, [], "none", tmp_path / "parts", RECIPE, silent).run(until=time.monotonic() - 1)
    assert stopped["history"][-1]["step"] == 1
    DistillRun(teacher, data, [], "none", tmp_path / "parts", RECIPE, silent).run()
    whole, parts = (read_tensors(tmp_path / name / "last.safetensors") for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_frozen_stages_stay_as_they_started(data: list[Path], teacher: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    write_tensors(tmp_path / "start.safetensors", Student(64).backbone.network.state_dict())
    before = read_tensors(tmp_path / "start.safetensors")
    DistillRun(teacher, data, [], str(tmp_path / "start.safetensors"), tmp_path / "run", RECIPE, silent).run()
    last = read_tensors(tmp_path / "run" / "last.safetensors")
    changed = {name for name in before if not torch.equal(before[name], last[f"student.backbone.network.{name}"])}
    assert "blocks.1.0.conv_pw.weight" in changed
    assert not [name for name in changed if name.startswith(("conv_stem", "bn1.", "blocks.0."))]


def test_a_folder_of_another_run_is_refused(data: list[Path], teacher: Path, tmp_path: Path) -> None:
    DistillRun(teacher, data, [], "none", tmp_path, RECIPE, silent).run(until=time.monotonic() - 1)
    with pytest.raises(CheckpointError, match="another recipe"):
        DistillRun(teacher, data, [], "none", tmp_path, Recipe(), silent)


def test_a_teacher_without_a_logit_for_a_crop_is_refused(data: list[Path], teacher: Path, tmp_path: Path) -> None:
    known = read_logits(teacher)
    known.pop("swaps/crops/0_1.png")
    write_logits(tmp_path / "some.csv", known)
    with pytest.raises(ValueError, match=r"no logit for 1 crops, swaps/crops/0_1\.png"):
        DistillRun(tmp_path / "some.csv", data, [], "none", tmp_path / "run", RECIPE, silent).run()


def test_a_start_of_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"conv_stem\.weight is missing"):
        start(Student(), {"classifier.weight": torch.zeros(1)})


def test_the_teacher_sees_each_crop_once(data: list[Path], tmp_path: Path) -> None:
    faces = Faces.read(data, "train")
    seen: list[int] = []

    def teacher(crops: np.ndarray) -> np.ndarray:
        seen.append(len(crops))
        return crops.mean((1, 2, 3))

    cache = tmp_path / "teacher.csv"
    teach(teacher, Faces(faces.crops[:5], faces.names[:5]), cache, lambda count: True)
    found = teach(teacher, faces, cache, lambda count: True)
    assert seen == [5, len(faces.crops) - 5]
    assert found.keys() == set(faces.names)
    assert read_logits(cache)[faces.names[7]] == pytest.approx(read_crop(faces.crops[7].path)[0].mean(), rel=1e-3)


def test_another_file_is_no_file_of_logits(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("path,label\na.png,1\n")
    with pytest.raises(ValueError, match=r"index\.csv: not a file of logits"):
        read_logits(tmp_path / "index.csv")


def test_targets_mix_the_label_in_where_there_is_one() -> None:
    recipe = Recipe(temperature=2.0, labels=0.25)
    found = targets(torch.tensor([1.0, 0.0, -1.0]), torch.tensor([4.0, 4.0, 4.0]), recipe)
    soft = 1 / (1 + np.exp(-2))
    np.testing.assert_allclose(found, [0.25 + 0.75 * soft, 0.75 * soft, soft], rtol=1e-6)


def test_labels_of_a_data_set_weigh_the_same(data: list[Path], unlabelled: Path) -> None:
    crops = Faces.read(data, "train", [unlabelled]).crops
    weights = draw_weights(crops)
    assert weights.sum() == pytest.approx(1)
    forged, authentic, alone = (
        sum(w for w, crop in zip(weights, crops, strict=True) if (crop.dataset, crop.label) == group)
        for group in (("swaps", 1), ("swaps", 0), ("clips", 0))
    )
    assert forged == pytest.approx(authentic)
    assert (forged + authentic) / alone == pytest.approx((8 / 4) ** 0.25)


def test_batches_depend_on_seed_and_number_alone(data: list[Path]) -> None:
    crops = Faces.read(data, "train").crops
    logits = np.arange(len(crops), dtype=np.float64)
    first, again, other = (
        DistillBatches(crops, logits, steps=9, pairs=3, augmented=0.5, seed=seed) for seed in (1, 1, 2)
    )
    images, labels, soft = first[7]
    assert images.shape == (6, 3, 224, 224)
    assert images.dtype == torch.uint8
    assert [crops[int(i)].label for i in soft] == labels.int().tolist()
    assert all(torch.equal(a, b) for a, b in zip(first[7], again[7], strict=True))
    assert not torch.equal(images, other[7][0])


def test_a_forgery_comes_with_its_own_original(data: list[Path]) -> None:
    crops = Faces.read(data[:1], "train").crops
    batches = DistillBatches(crops, np.arange(len(crops)), steps=9, pairs=4, augmented=0, seed=1)
    _, _, soft = batches[0]
    pairs = [(crops[int(a)], crops[int(b)]) for a, b in soft.view(-1, 2)]
    assert all(a.original == b.original and {a.label, b.label} == {0, 1} for a, b in pairs)


def test_distil_and_export_by_command(data: list[Path], teacher: Path, tmp_path: Path) -> None:
    run, out, init = tmp_path / "run", tmp_path / "weights", tmp_path / "start.safetensors"
    student = Student(96)
    for norm in student.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):  # as after training, not as they start
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 2)
    write_tensors(init, student.state_dict())
    folders = [text for folder in data for text in ("--data", str(folder))]
    settings = [text for key in ("steps=1", "pairs=2", "size=96", "warmup=1") for text in ("--set", key)]
    command = ["distill", "--teacher", str(teacher), *folders, "--init", str(init), "--out", str(run), *settings]
    for arguments in (command, ["export", "student", str(run), *folders, "--out", str(out)]):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output

    card = load_card("student", out)
    assert (card["teacher"]["file"], card["start"]["file"]) == (teacher.name, init.name)
    assert set(card["calibration"]) == {"slope", "offset"}
    assert set(card["thresholds"]) == {"forged", "authentic"}
    assert (out / "student.onnx").stat().st_size < 8e6

    student.load_state_dict(read_tensors(run / "best.safetensors"))
    crops = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    with torch.no_grad():
        logits = student.eval()(torch.from_numpy(crops).permute(0, 3, 1, 2)).numpy()
    network = Network(out / "student.onnx", precision_hint="f32")
    assert network.outputs == ["logit"]
    np.testing.assert_allclose(network(crops)[0], logits, atol=5e-3)
    np.testing.assert_allclose(network(crops[:1])[0], logits[:1], atol=5e-3)


def test_a_folder_without_a_run_is_named(data: list[Path], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["export", "student", str(tmp_path), "--data", str(data[0]), "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "run.json: no such file" in done.stderr


def test_full_specialists_are_not_measured_on_crops(data: list[Path]) -> None:
    done = CliRunner().invoke(app, ["evaluate", "crops", str(data[0] / "index.csv"), "--tier", "full"])
    assert done.exit_code == 2
    assert "evaluate videos" in done.stderr
