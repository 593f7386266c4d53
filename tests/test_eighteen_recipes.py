"""All eighteen recipes on miniature sets: each specialist through its three stages, a step or two each, from random
weights. `make_mini` and `prepare` make the data, as a newcomer would.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from interceptor.cli import app
from interceptor.datasets.shards import Shards
from interceptor.lenses import LENSES
from interceptor.media.enhancement import enhance
from interceptor.training.stages import snapshots
from interceptor.training.stages.recipe import STAGES
from interceptor.training.stages.scoring import read_specialist
from shard_maker import write_shards
from stage_runner import tiny_backbone

SETTINGS = ("fusion=tokens", "lens_size=112", "workers=0", "batch=4", "epochs=1", "epoch_samples=4")


def interceptor(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature of each stage's set, prepared: one moment of each clip, with every view."""
    pytest.importorskip("skimage")
    folder = tmp_path_factory.mktemp("sets")
    for name in STAGES:
        done = interceptor("datasets", "mini", name, folder / f"{name}_videos")
        assert done.exit_code == 0, done.stderr
        sampling = ("--windows", 1, "--crops", 1, "--workers", 1)
        done = interceptor("prepare", name, folder / f"{name}_videos", folder / name, *sampling)
        assert done.exit_code == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("data"), 2, chunks=2)


@pytest.mark.parametrize("code", LENSES)
def test_a_specialist_goes_through_its_three_stages(code: str, sets: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    out = tmp_path / code
    for stage in STAGES:
        settings = [*SETTINGS, "chunks=[9,2]"] if stage == "dfdc" else SETTINGS
        chosen = [part for setting in settings for part in ("--set", setting)]
        first = ("--init", "none") if stage == "faceforensics" else ()
        place = ("--data", sets / stage, "--out", out, "--device", "cpu", "--backbone", "efficientnet_lite0")
        done = interceptor("train", code, "--stage", stage, *place, *chosen, *first)
        assert done.exit_code == 0, done.stderr
        card = json.loads((out / stage / "run.json").read_text())
        assert card["finished"]
        assert [entry["abstained"] for entry in card["history"]] == [0] * (2 if stage == "dfdc" else 1)
        page = (out / stage / "run.html").read_text()
        assert "http" not in page
        for said in ("Reliability", "Worst errors", f"{code}_specialist", *card["recipe"]):
            assert said in page
        assert page.count("data:image/jpeg") == len(card["best"]["worst"])
    assert card["start"]["init"] == "stage2_final.safetensors"
    names = {file.stem for file in out.glob("*.safetensors")}
    assert names == {"stage1_final", "stage2_final", "stage4_final", f"{code}_model_student"}
    _, facts = snapshots.read_weights(out / f"{code}_model_student.safetensors")
    assert facts["preprocessing"] == ["clahe", "bilateral"]


@pytest.fixture
def tiny() -> Iterator[None]:
    with tiny_backbone():
        yield


@pytest.mark.usefixtures("tiny")
def test_a_full_specialist_is_exported_with_its_card(data: Path, tmp_path: Path) -> None:
    """Trained long enough on a plain sign that its logits point to it; the file says what the network says."""
    out = tmp_path / "ll"
    settings = ("chunks=[0]", "lens_size=112", "workers=0", "batch=4", "epochs=1", "epoch_samples=40", "lr=1e-3")
    plain = ("fusion=tokens", "rotation=0", "perspective=0", "brightness=0", "blur=0")
    chosen = [part for setting in (*settings, *plain) for part in ("--set", setting)]
    place = ("--data", data, "--out", out, "--device", "cpu", "--backbone", "efficientnet_lite0", "--init", "none")
    done = interceptor("train", "ll", "--stage", "dfdc", *place, *chosen)
    assert done.exit_code == 0, done.stderr
    done = interceptor("export", "full", "ll", out / "dfdc", "--data", data, "--out", tmp_path / "full")
    assert done.exit_code == 0, done.stderr
    card = json.loads((tmp_path / "full" / "full_ll.json").read_text())
    file = tmp_path / "full" / "full_ll.onnx"
    assert card["calibration"]["slope"] > 0
    assert card["preprocessing"] == ["clahe", "bilateral"]
    assert card["parameters"]["folded"] < card["parameters"]["trained"]
    model, _ = read_specialist("ll", out / "dfdc" / "best.safetensors")
    clip = Shards(data).read(0)
    crop = enhance(clip.crops[0], card["preprocessing"])[None]
    lens = np.random.default_rng(0).normal(size=(1, 3, 112, 112)).astype(np.float32)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (logit,) = session.run(["logit"], {"crops": crop, "lens": lens})
    with torch.no_grad():
        expected = model(torch.from_numpy(crop).permute(0, 3, 1, 2), torch.from_numpy(lens))
    assert logit[0] == pytest.approx((expected[0, 1] - expected[0, 0]).item(), abs=1e-3)
    other = write_shards(tmp_path / "other", 1, chunks=1, talk=False)
    refused = interceptor("export", "full", "ll", out / "dfdc", "--data", other, "--out", tmp_path / "full")
    assert refused.exit_code == 2
    assert "another folder" in refused.stderr
