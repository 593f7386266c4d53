"""The full tier: networks from a folder, run where the router says so, beside the standard answer."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto
from rich.console import Console
from typer.testing import CliRunner

from face_maker import face_clip
from interceptor.cli import app
from interceptor.detect.full import VARIABLE, models_folder
from interceptor.detect.result import ScanResult
from interceptor.detect.router import parse_choice
from interceptor.detect.scan import Scanner
from interceptor.detect.screen import ScreenNetwork, Seen
from interceptor.report.html import render_html
from interceptor.report.text import render_text
from tiny_specialists import SECONDS, copied, quick_screen, voice, write_card, write_network

quick = pytest.fixture(scope="module", autouse=True)(quick_screen)


def shown(result: ScanResult) -> str:
    console = Console(width=200, no_color=True)
    with console.capture() as captured:
        console.print(render_text(result))
    return captured.get()


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
    result = full(house, models, specialists=parse_choice("cm,av,rr"), evidence=True).scan(talking)
    cm, av = result.full["cm"], result.full["av"]
    assert (cm.weight, av.weight, result.screen.weight) == (0.5, 0.0, 0.5)
    assert "leans forged; ran: was asked for" in cm.reason
    assert "states no weight" in av.reason
    log_odds = np.log(cm.probability / (1 - cm.probability))
    assert result.probability == pytest.approx(1 / (1 + np.exp(-(0.3 + log_odds) / 2)), abs=1e-6)
    assert result.full["rr"].reason == f"is not installed in {models}"
    assert result.full["ll"].reason == "was not asked for"
    assert (result.tier, result.errors) == ("full", [])
    assert {"full_cm.onnx", "full_av.onnx", "screen.onnx"} <= set(result.versions.weights)
    assert "1 specialist" in result.faces[0].reason
    assert {"cm", "cm full", "av full"} <= set(result.evidence[0].sights)
    assert result.screen.saw.startswith("6 crops from 0.")
    assert cm.saw == result.specialists["cm"].saw, "the same moments"
    assert av.saw.startswith("the window from 0.")
    assert result.full["rr"].saw is None
    page = render_html(result, {})
    assert page.count('alt="compression: the face') == 2
    assert "AV FULL" in page


def test_no_false_alarm_rate_is_promised_of_a_mixture(house: Path, models: Path, talking: Path) -> None:
    install(models, "ll", 5.0, weight=0.5)
    install(models, "cm", 5.0, weight=0.5)
    result = full(house, models, specialists=parse_choice("ll,cm,rr"), evidence=True).scan(talking)
    assert (result.verdict, result.verdict_from, result.fpr) == ("forged", "full", None)
    assert (result.screen.weight, result.screen.reason) == (0.5, "decides with full ll, cm")
    assert [part.weight for part in result.full.values() if part.weight] == [0.25, 0.25]
    assert "was not measured" in result.reason
    page, text = render_html(result, {}), shown(result)
    assert "decides with full ll, cm" in page
    assert "decides alone" not in page
    assert "no false-alarm rate is promised" in page
    assert "false-alarm rate with full specialists not measured." in text
    assert "Full specialists: 2 looked, LL and CM lean forged; LL and CM counted." in text
    assert "tated false-alarm rate" not in page + text
    assert "5%" not in result.reason


def test_full_ones_that_are_only_shown_leave_the_promise(house: Path, models: Path, talking: Path) -> None:
    install(models, "cm", 5.0)
    result = full(house, models, specialists=parse_choice("cm")).scan(talking)
    assert (result.verdict_from, result.fpr, result.screen.reason) == ("screen", 0.05, "decides alone")
    text = shown(result)
    assert "stated false-alarm rate 5 %." in text
    assert "Specialists: 1 looked, none leans forged; not counted." in text
    assert "Full specialists: 1 looked, CM leans forged; not counted." in text


def test_nothing_is_read_that_nobody_asked_for(house: Path, models: Path, talking: Path) -> None:
    install(models, "cm", 3.0)
    install(models, "bg", 3.0)
    (models / "full_bg.onnx").unlink()
    for choice, named in (("none", set()), ("ll,cm", {"full_cm.onnx"})):
        scanner = full(house, models, specialists=parse_choice(choice))
        result = scanner.scan(talking)
        assert scanner.errors == []
        assert result.errors == []
        assert result.full["bg"].reason == "was not asked for"
        assert {name for name in result.versions.weights if name.startswith("full_")} == named
    assert full(house, models).errors


def test_a_network_that_is_none_costs_one_line(
    house: Path,
    models: Path,
    talking: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = models / "full_rr.onnx"
    file.write_bytes(np.random.default_rng(0).bytes(20_000))
    write_card(models, "full_rr", preprocessing=[], lens_size=224)
    monkeypatch.setattr(
        "interceptor.detect.scan.Scanner", lambda **_: full(house, models, specialists=parse_choice("rr"))
    )
    capfd.readouterr()
    again = shutil.copy(talking, tmp_path / "again.mp4")
    done = CliRunner().invoke(app, ["scan", str(talking), str(again), "--tier", "full", "--format", "json"])
    assert done.exit_code == 0
    assert capfd.readouterr().err == "", "what the runtime itself prints"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    (line,) = [line for line in done.stderr.splitlines() if "rr" in line]
    assert line.count(str(file)) == 1
    assert line.endswith("; scanning without it")
    for result in map(json.loads, done.stdout.splitlines()):
        (problem,) = result["errors"]
        assert problem["message"] in line
    assert digest in problem["message"]
    assert "\n" not in problem["message"]
    assert len(problem["message"]) < 400
    for label in ("real", "fake"):
        (tmp_path / label).mkdir()
        shutil.copy(talking, tmp_path / label)
    done = CliRunner().invoke(app, ["evaluate", "videos", str(tmp_path), "--tier", "full", "--format", "json"])
    assert [line for line in done.stderr.splitlines() if "scanning without it" in line] == [line]


def test_the_router_chooses_by_itself(house: Path, models: Path, talking: Path) -> None:
    for code in ("av", "bg"):
        install(models, code, 1.0)
    result = full(house, models).scan(talking)
    assert "sound and lips can be compared" in result.full["av"].reason
    assert result.full["av"].probability is not None
    assert "contradicts" in result.full["bg"].reason, "the standard one says -1, the answer leans forged"


def test_the_router_holds_open_what_the_verdict_holds_open(
    house: Path, models: Path, talking: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a rate of 1 % a probability of 0.03 is inconclusive, at 5 % it is authentic."""
    install(models, "av", 1.0)
    low = [np.full(shape, -3.5, np.float32) for shape in ((6,), (6, 14, 14), (6, 49, 3072))]
    monkeypatch.setattr(ScreenNetwork, "look", lambda self, crops: Seen(*low))
    unsure, sure = (full(house, models, fpr=rate).scan(talking) for rate in (0.01, 0.05))
    assert (unsure.verdict, sure.verdict) == ("inconclusive", "authentic")
    assert "the standard tier is inconclusive (probability 0.029)" in unsure.full["av"].reason
    assert unsure.full["av"].probability is not None
    assert sure.full["av"].reason == "the standard tier is certain: authentic (probability 0.029)"


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
    assert "install the package" not in messages, "they are not part of it"
    for part in ("full_ll.onnx", expected, hashlib.sha256(b"damaged").hexdigest(), "full_bg.onnx: missing", "sharpen"):
        assert part in messages
    assert result.full["cm"].probability is not None
    assert "full_ll.onnx" in result.full["ll"].reason
    assert result.probability is not None


def test_networks_that_cannot_be_used_are_named_and_the_scan_goes_on(house: Path, models: Path, talking: Path) -> None:
    install(models, "ll", float("nan"), weight=1.0)
    install(models, "cm", 3.0, weight=1.0)
    write_network(models / "full_bg.onnx", {"crops": INPUTS["crops"]}, 1.0)  # which does not look through the lens
    write_card(models, "full_bg", preprocessing=[], lens_size=224, weight=1.0)
    (models / "full_rr.onnx").write_bytes(b"no network")
    write_card(models, "full_rr", preprocessing=[], lens_size=224)
    scanner = full(house, models, specialists=parse_choice("all"))
    assert scanner.errors == []
    result = scanner.scan(talking)
    assert "not a number" in result.full["ll"].reason
    assert [code for code, part in result.full.items() if part.weight > 0] == ["cm"]
    assert len(result.errors) == 2
    for code in ("bg", "rr"):
        assert f"full_{code}.onnx" in result.full[code].reason
        assert result.full[code].reason in {problem.message for problem in result.errors}
    assert scanner.errors == [problem.message for problem in scanner.scan(talking).errors]


def test_the_router_looks_at_the_face_that_decides(
    house: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A face seen too briefly to decide is no reason to run more."""
    clip = face_clip(tmp_path / "brief.mp4", 32, second=True, brief=6)
    install(models, "bg", 1.0)
    scanner = Scanner(frames=8, tier="full", folder=house, models=models)

    def look(self: ScreenNetwork, crops: np.ndarray) -> Seen:
        brief = np.arange(len(crops)) >= 8  # the longer track comes first
        return Seen(
            np.where(brief, 0.3, -6.0).astype(np.float32),
            np.zeros((len(crops), 14, 14), np.float32),
            np.zeros((len(crops), 49, 3072), np.float32),
        )

    monkeypatch.setattr(ScreenNetwork, "look", look)
    result = scanner.scan(clip)
    assert [face.frames for face in result.faces] == [8, 1]
    assert result.full["bg"].reason.startswith("the standard tier is certain: authentic (probability 0.0")


def test_without_a_folder_none_is_installed(house: Path, talking: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    scanner = full(house, None)
    assert scanner.remark is not None
    assert VARIABLE in scanner.remark
    (reason,) = {part.reason for part in scanner.scan(talking).full.values()}
    assert reason == f"is not installed: no folder of full specialists is named (--models or {VARIABLE})"


def test_a_full_tier_with_nothing_to_run_says_so(
    house: Path, models: Path, talking: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interceptor.detect.scan.Scanner", lambda **_: full(house, models))
    done = CliRunner().invoke(app, ["scan", str(talking), "--tier", "full", "--format", "json"])
    assert done.exit_code == 0
    assert f"none is installed in {models}; scanning as in the standard tier" in done.stderr
    assert {part["reason"] for part in json.loads(done.stdout)["full"].values()} == {f"is not installed in {models}"}
    install(models, "cm", 1.0)
    assert full(house, models).remark is None
    lacking = full(house, models, specialists=parse_choice("ll,tm")).remark
    assert lacking is not None
    assert "ll, tm none is installed" in lacking
    assert full(house, models, specialists=parse_choice("none")).remark is None


@pytest.mark.parametrize(
    ("options", "named"),
    [(["--tier", "fast", "--specialists", "ll"], "the fast tier"), (["--models", "."], "full tier only")],
)
def test_what_the_tier_does_not_run_cannot_be_asked_for(options: list[str], named: str) -> None:
    done = CliRunner().invoke(app, ["scan", "a.mp4", *options])
    assert done.exit_code == 2
    assert named in done.stderr


def test_the_folder_is_an_option_or_a_variable(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert models_folder(None) is None
    monkeypatch.setenv(VARIABLE, str(models))
    assert models_folder(None) == models
    done = CliRunner().invoke(app, ["scan", "a.mp4", "--tier", "full", "--models", str(models / "none")])
    assert done.exit_code == 2
    assert "no such folder" in done.stderr
