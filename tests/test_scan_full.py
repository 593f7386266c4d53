"""The full tier: networks from a folder, run where the router says so, beside the standard answer."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto
from typer.testing import CliRunner

from face_maker import face_clip
from interceptor.cli import app
from interceptor.detect.full import VARIABLE, models_folder
from interceptor.detect.router import parse_choice
from interceptor.detect.scan import Scanner
from tiny_specialists import SECONDS, copied, quick_screen, voice, write_card, write_network

quick = pytest.fixture(scope="module", autouse=True)(quick_screen)

INPUTS = {"crops": (TensorProto.UINT8, ["n", 224, 224, 3]), "lens": (TensorProto.FLOAT, ["n", 3, 224, 224])}


def install(folder: Path, code: str, score: float, size: int = 224, **fields: object) -> None:
    lens = (TensorProto.FLOAT, ["n", 3, size, size])
    write_network(folder / f"full_{code}.onnx", INPUTS | {"lens": lens}, score)
    write_card(folder, f"full_{code}", **{"preprocessing": [], "lens_size": size} | fields)


@pytest.fixture(scope="module")
def house(weights_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(weights_folder, tmp_path_factory.mktemp("house"))


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return face_clip(tmp_path_factory.mktemp("talking") / "clip.mp4", int(25 * SECONDS), audio=voice())


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def full(house: Path, models: Path | None, **settings: object) -> Scanner:
    return Scanner(frames=6, tier="full", folder=house, models=models, **settings)


def test_installed_ones_that_are_asked_for_run_and_count_as_their_cards_say(
    house: Path, models: Path, talking: Path
) -> None:
    install(models, "cm", 3.0, weight=1.0, preprocessing=["clahe", "bilateral"])
    install(models, "av", -1.0, size=112)
    result = full(house, models, specialists=parse_choice("cm,av,rr")).scan(talking)
    cm, av = result.full["cm"], result.full["av"]
    assert (cm.weight, av.weight, result.screen.weight) == (0.5, 0.0, 0.5)
    assert "leans forged; ran: was asked for" in cm.reason
    assert "states no weight" in av.reason
    log_odds = np.log(cm.probability / (1 - cm.probability))
    assert result.probability == pytest.approx(1 / (1 + np.exp(-(0.3 + log_odds) / 2)), abs=1e-6)
    assert result.full["rr"].reason == "its file is not installed"
    assert result.full["ll"].reason == "was not asked for"
    assert (result.tier, result.errors) == ("full", [])
    assert {"full_cm.onnx", "full_av.onnx", "screen.onnx"} <= set(result.versions.weights)
    assert "1 specialist" in result.faces[0].reason


def test_the_router_chooses_by_itself(house: Path, models: Path, talking: Path) -> None:
    for code in ("av", "bg"):
        install(models, code, 1.0)
    result = full(house, models).scan(talking)
    assert "sound and lips can be compared" in result.full["av"].reason
    assert result.full["av"].probability is not None
    assert "contradicts" in result.full["bg"].reason, "the standard one says -1, the answer leans forged"


def test_a_lens_without_its_input_abstains(house: Path, models: Path, media: dict[str, Path]) -> None:
    install(models, "tm", 1.0)
    install(models, "av", 1.0)
    result = full(house, models, specialists=parse_choice("all")).scan(media["face"])
    assert result.full["tm"].probability is None
    assert "single frame" in result.full["tm"].reason
    assert "no sound" in result.full["av"].reason


def test_missing_and_damaged_files_are_named_and_the_scan_goes_on(house: Path, models: Path, talking: Path) -> None:
    install(models, "cm", 3.0, weight=1.0)
    install(models, "ll", 3.0)
    install(models, "bg", 3.0)
    install(models, "rr", 3.0, preprocessing=["sharpen"])
    expected = json.loads((models / "full_ll.json").read_text())["files"]["full_ll.onnx"]
    (models / "full_ll.onnx").write_bytes(b"damaged")
    (models / "full_bg.onnx").unlink()
    scanner = full(house, models, specialists=parse_choice("all"))
    result = scanner.scan(talking)
    messages = "\n".join(problem.message for problem in result.errors)
    assert {problem.cause for problem in result.errors} == {"damaged_specialist"}
    for part in ("full_ll.onnx", expected, hashlib.sha256(b"damaged").hexdigest(), "full_bg.onnx: missing", "sharpen"):
        assert part in messages
    assert result.full["cm"].probability is not None
    assert "full_ll.onnx" in result.full["ll"].reason
    assert result.probability is not None


def test_without_a_folder_none_is_installed(house: Path, talking: Path) -> None:
    result = full(house, None).scan(talking)
    assert {part.reason for part in result.full.values()} == {"its file is not installed"}


def test_the_folder_is_an_option_or_a_variable(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert models_folder(None) is None
    monkeypatch.setenv(VARIABLE, str(models))
    assert models_folder(None) == models
    done = CliRunner().invoke(app, ["scan", "a.mp4", "--tier", "full", "--models", str(models / "none")])
    assert done.exit_code == 2
    assert "no such folder" in done.stderr
