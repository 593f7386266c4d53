"""Weights of screen and specialists: fitted on made-up scores whose worth is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto
from typer.testing import CliRunner

from face_maker import face_clip
from interceptor.cli import app
from interceptor.datasets.splits import split_of
from interceptor.detect.panel import MEMBERS
from interceptor.detect.scan import Scanner
from interceptor.evaluation.ensemble import Item, fit, labelled, out_of_fold, score_files
from tiny_data import write_crops
from tiny_specialists import copied, quick_screen, write_card, write_network

quick = pytest.fixture(scope="module", autouse=True)(quick_screen)


def items(count: int, worth: dict[str, float], seed: int = 0, silent: tuple[str, ...] = ()) -> list[Item]:
    """Half of them forged, of twenty sources; a member's scores of the two classes lie `worth` deviations apart."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        label = i % 2
        scores = [np.nan if name in silent else float(rng.normal() + worth.get(name, 0.0) * label) for name in MEMBERS]
        found.append(Item(f"{i}.mp4", label, f"source{i // 2 % 20}", tuple(scores)))
    return found


def test_members_that_add_enough_take_the_verdict_over() -> None:
    worth = {"screen": 0.8, "ll": 2.5, "cm": 1.5}
    found = fit(items(200, worth), items(300, worth, 1))
    assert found["verdict_from"] == "ensemble"
    assert found["figures"]["files"]["gain_low"] > 0
    members = found["figures"]["members"]
    assert members["ll"]["added_low"] > 0
    assert members["ll"]["weight"] > 0.1
    assert (members["ll"]["scored"], found["figures"]["files"]["sources"]) == (200, 20)
    json.dumps(found)  # ready for a card


def test_members_that_add_nothing_do_not() -> None:
    worth = {"screen": 2.0}
    found = fit(items(120, worth, silent=("av", "tm")), items(300, worth, 1))
    assert found["verdict_from"] == "screen"
    assert found["why"] == "on sources not seen, none of them adds to the screen by more than chance"
    assert found["figures"]["files"]["gain"] == found["figures"]["crops"]["gain"] == 0
    assert found["figures"]["members"]["av"] == {
        "scored": 0,
        "auc": None,
        "weight": 0.0,
        "gate": None,
        "added": None,
        "added_low": None,
        "added_high": None,
    }


def test_without_a_second_set_nothing_is_taken_over() -> None:
    assert fit(items(80, {"screen": 0.8, "ll": 2.0}), [])["verdict_from"] == "screen"


def test_out_of_fold_scores_have_not_seen_their_source() -> None:
    """A member that only tells the sources apart gains nothing by it."""
    made = items(120, {"screen": 1.5})
    table = np.array([item.scores for item in made])
    labels = np.array([item.label for item in made])
    sources = np.array([f"{item.source}-{item.label}" for item in made])
    table[:, 1] = np.unique(sources, return_inverse=True)[1] + 0.01 * table[:, 1]
    scores = out_of_fold(table, labels, sources)
    assert np.corrcoef(scores, table[:, 0])[0, 1] > 0.8


def test_files_name_their_source_and_those_that_were_learned_from_are_left_out(tmp_path: Path) -> None:
    names = [f"maker{i % 3}_{i}.mp4" for i in range(40)]
    for name in names:
        (tmp_path / name).touch()
    kept = [name for name in names if split_of(Path(name)) != "train"]
    found, left_out = labelled([str(tmp_path)], 1, [tmp_path])
    assert sorted(path.name for path, _, _ in found) == sorted(kept)
    assert left_out == 40 - len(kept)
    assert {source for _, _, source in found} <= {"maker0", "maker1", "maker2"}
    every, _ = labelled([f"one={tmp_path}/maker0_*"], 0, [])
    assert {(label, source) for _, label, source in every} == {(0, "one")}
    with pytest.raises(ValueError, match="no such files"):
        labelled([str(tmp_path / "none")], 0, [])


def test_the_command_writes_a_card_that_a_scan_reads(weights_folder: Path, tmp_path: Path) -> None:
    house = copied(weights_folder, tmp_path / "weights")
    for code in ("ll", "cm"):  # they tell pictures of different brightness apart
        tokens, lens = (TensorProto.FLOAT, ["n", 49, 3072]), (TensorProto.FLOAT, ["n", 3, 112, 112])
        write_network(house / f"specialist_{code}.onnx", {"tokens": tokens, "lens": lens}, 0.5, slope=-10.0)
        write_card(house, f"specialist_{code}")
    for label in ("real", "fake"):
        (tmp_path / label).mkdir()
        for i in range(10):
            face_clip(tmp_path / label / f"s{i}_{label}.mp4", 3, light=1.0 if label == "real" else 0.5 + 0.02 * i)
    found, failures = score_files(
        [(path, 0, "s") for path in sorted((tmp_path / "real").iterdir())],
        Scanner(frames=3, folder=house, verdict_from="screen", quality=True).scan,
    )
    assert (len(found), failures) == (10, {})
    assert np.isnan(found[0].scores[MEMBERS.index("av")])
    assert {"luma", "bits_per_pixel", "face_size"} <= {name for name, value in found[0].quality.items() if value > 0}
    arguments = ["--authentic", str(tmp_path / "real"), "--forged", str(tmp_path / "fake"), "--weights", str(house)]
    index = write_crops(tmp_path / "crops", 6)
    done = CliRunner().invoke(app, ["calibrate", "ensemble", *arguments, "--crops", str(index)])
    assert done.exit_code == 0, done.output
    card = json.loads((house / "ensemble.json").read_text())
    assert card["verdict_from"] == "screen"
    assert set(card["fitted_with"]) == {"screen.onnx", *(f"specialist_{m}.onnx" for m in MEMBERS[1:])}
    scanner = Scanner(frames=3, folder=house, verdict_from="ensemble")
    assert scanner.scan(tmp_path / "fake" / "s0_fake.mp4").verdict_from == "ensemble"
