"""Evaluation with invented models on pictures made here: every figure can be told from the construction."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from interceptor.cli import app
from interceptor.datasets.crops import read_index
from interceptor.detect.result import Problem, ScanResult, Versions
from interceptor.evaluation.crops import evaluate_crops
from interceptor.evaluation.videos import evaluate_videos
from interceptor.metrics.calibration import Platt

calibrate = Platt(1.0, 0.0).apply
DATA = Path(__file__).parents[2] / "shared" / "data"


def score(pictures):
    """Brightness as a logit: grey 128 is undecided."""
    return np.array([(picture.mean() - 128) / 16 for picture in pictures])


def write_index(folder: Path, rows: list[dict]) -> Path:
    """An index of flat grey pictures; each row is a row of the index plus `grey` and optionally `side`."""
    names = [name for name in dict.fromkeys(n for row in rows for n in row) if name not in ("grey", "side")]
    for row in rows:
        side = row.get("side", 224)
        (folder / row["path"]).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (side, side), (row["grey"],) * 3).save(folder / row["path"])
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return folder / "index.csv"


def grey_rows(**columns) -> list[dict]:
    """Three authentic and three forged crops; the brightest authentic one outshines the darkest forged one."""
    real = [{"path": f"r{g}.png", "label": 0, "grey": g} | columns for g in (100, 110, 150)]
    return real + [{"path": f"f{g}.png", "label": 1, "grey": g} | columns for g in (140, 160, 170)]


def test_crops_figures_counts_and_intervals(tmp_path):
    seen, sizes = [], []

    def spy(pictures):
        sizes.append(len(pictures))
        assert pictures.shape[1:] == (224, 224, 3)
        assert pictures.dtype == np.uint8
        return score(pictures)

    rows = grey_rows()
    rows[0]["side"] = 100
    result = evaluate_crops(
        write_index(tmp_path, rows), spy, calibrate, batch=4, progress=lambda done, of: seen.append((done, of))
    )
    assert (result["n_real"], result["n_fake"], result["resized"]) == (3, 3, 1)
    assert result["auc"] == pytest.approx(8 / 9)
    assert result["balanced_accuracy"] == pytest.approx(5 / 6)
    assert result["tpr_at_fpr_05"] == pytest.approx(2 / 3)
    p = calibrate(np.array([(g - 128) / 16 for g in (100, 110, 150, 140, 160, 170)]))
    assert result["brier"] == pytest.approx(np.mean((p - [0, 0, 0, 1, 1, 1]) ** 2))
    for name in ("auc", "ap", "eer", "balanced_accuracy", "tpr_at_fpr_05", "ece", "brier", "log_loss"):
        assert isinstance(result[name], float)
        low, high = result["intervals"][name]
        assert low <= high
    assert result["failures"] == {}
    assert result["drawn_by"] is None
    assert "by_clip" not in result
    assert (sizes, seen) == ([4, 2], [(4, 6), (6, 6)])
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_missing_and_broken_crops_are_named_and_counted(tmp_path):
    index = write_index(tmp_path, grey_rows())
    (tmp_path / "r100.png").unlink()
    (tmp_path / "f140.png").write_text("not a picture")
    whole = (tmp_path / "f160.png").read_bytes()
    (tmp_path / "f160.png").write_bytes(whole[: len(whole) // 2])
    result = evaluate_crops(index, score, calibrate)
    assert result["failures"] == {"missing_file": 1, "unreadable": 2}
    assert {Path(f["path"]).name for f in result["failed"]} == {"r100.png", "f140.png", "f160.png"}
    assert (result["n_real"], result["n_fake"]) == (2, 1)
    for name in ("r110.png", "r150.png", "f170.png"):
        (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=r"none of 6 crops could be scored: .*'missing_file': 4"):
        evaluate_crops(index, score, calibrate)


def test_file_size_baseline_calls_small_files_forged(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for i in range(8):
        noise = rng.integers(0, 255, (224, 224, 3), dtype=np.uint8)
        forged = i % 2
        Image.fromarray(noise // (1 + 9 * forged)).save(tmp_path / f"{i}.jpg")
        rows.append(f"{i}.jpg,{forged}\n")
    (tmp_path / "index.csv").write_text("path,label\n" + "".join(rows))
    assert evaluate_crops(tmp_path / "index.csv", score, calibrate)["baseline_file_size_auc"] == 1


def test_clips_are_measured_by_their_mean_logit(tmp_path):
    clips = {"a": (0, (90, 150)), "b": (0, (100, 110)), "c": (1, (140, 180)), "d": (1, (120, 150))}
    rows = [
        {"path": f"{clip}{g}.png", "label": label, "grey": g, "clip": clip, "original": "all"}
        for clip, (label, greys) in clips.items()
        for g in greys
    ]
    result = evaluate_crops(write_index(tmp_path, rows), score, calibrate)
    assert result["drawn_by"] == "clip"
    assert result["auc"] == pytest.approx(13.5 / 16)
    assert result["by_clip"]["auc"] == 1
    assert (result["by_clip"]["n_real"], result["by_clip"]["n_fake"]) == (2, 2)
    p = calibrate(np.array([(g - 128) / 16 for g in (120, 105, 160, 135)]))
    assert result["by_clip"]["brier"] == pytest.approx(np.mean((p - [0, 0, 1, 1]) ** 2))
    assert result["by_clip"]["intervals"]["auc"] == [1, 1]


def test_an_original_and_its_forgery_stay_two_groups(tmp_path):
    rows = [
        {"path": f"{name}{label}.png", "label": label, "grey": 100 + 40 * label, "original": name}
        for name in "ab"
        for label in (0, 1)
    ]
    result = evaluate_crops(write_index(tmp_path, rows), score, calibrate)
    assert result["drawn_by"] == result["by_clip"]["grouped_by"] == "original"
    assert (result["by_clip"]["n_real"], result["by_clip"]["n_fake"]) == (2, 2)


def test_sources_and_models_each_have_their_auc(tmp_path):
    rows = grey_rows(source="lab")
    for row, model in zip(rows, ("", "", "", "Wav", "Wav", "Face"), strict=True):
        row["model"] = model
    rows.append({"path": "alone.png", "label": 0, "grey": 90, "source": "web", "model": ""})
    result = evaluate_crops(write_index(tmp_path, rows), score, calibrate)
    assert result["by_source"] == {
        "lab": {"auc": pytest.approx(8 / 9), "n_real": 3, "n_fake": 3},
        "web": {"auc": None, "n_real": 1, "n_fake": 0},
    }
    assert result["by_model"] == {
        "Face": {"auc": 1.0, "n_real": 4, "n_fake": 1},
        "Wav": {"auc": pytest.approx(7 / 8), "n_real": 4, "n_fake": 2},
    }


def test_split_and_limit(tmp_path):
    rows = [*grey_rows(split="val"), {"path": "t.png", "label": 1, "grey": 99, "split": "train"}]
    index = write_index(tmp_path, rows)
    assert len(read_index(index)) == 7
    assert [c.path.name for c in read_index(index, "train")] == ["t.png"]
    limited = evaluate_crops(index, score, calibrate, split="val", limit=2)
    assert (limited["n_real"], limited["n_fake"]) == (1, 1)
    with pytest.raises(ValueError, match="no crops in split 'test'; it has 'val', 'train'"):
        read_index(index, "test")
    with pytest.raises(ValueError, match="limit must be at least 1"):
        evaluate_crops(index, score, calibrate, limit=0)


def test_one_class_leaves_undefined_measures_null(tmp_path):
    result = evaluate_crops(write_index(tmp_path, grey_rows()[:3]), score, calibrate)
    assert result["auc"] is result["intervals"]["auc"] is result["baseline_file_size_auc"] is None
    assert result["brier"] > 0
    assert "only authentic items were scored" in result["notes"][0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.png,real\n", r"index\.csv, line 2: label 'real' is neither 1"),
        ("path,label\na.png,1\nb.png,1.0\n", r"index\.csv, line 3: label '1\.0'"),
        ("path,label\na.png\n", r"line 2: label '' is neither"),
        ("path,label\n,1\n", "line 2: the path is empty"),
        ("file,label\na.png,1\n", "no column path among file, label"),
        ("", "no column label, path among none"),
        ("path,label\n", "no crops"),
        ("path,label\na\xff.png,1\n", "not a CSV file in UTF-8"),
    ],
)
def test_a_bad_index_is_an_error_that_names_file_and_line(tmp_path, text, message):
    (tmp_path / "index.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=message) as caught:
        read_index(tmp_path / "index.csv")
    assert str(tmp_path / "index.csv") in str(caught.value)


def test_index_missing_or_without_split_column(tmp_path):
    with pytest.raises(ValueError, match=r"none\.csv: no such file"):
        read_index(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="no column split"):
        read_index(write_index(tmp_path, grey_rows()), "val")


def test_byte_order_mark_and_spaces_are_no_trouble(tmp_path):
    (tmp_path / "index.csv").write_text("\ufeffpath,label\nsub dir/ü.png , 1\n", encoding="utf-8")
    (crop,) = read_index(tmp_path / "index.csv")
    assert (crop.path, crop.label) == (tmp_path / "sub dir" / "ü.png", 1)


@pytest.mark.parametrize("wrong", [lambda p: np.zeros(len(p) + 1), lambda p: np.full(len(p), np.nan)])
def test_a_model_that_returns_nonsense_is_an_error(tmp_path, wrong):
    with pytest.raises(ValueError, match=r"the model gave .* for 6 crops"):
        evaluate_crops(write_index(tmp_path, grey_rows()), wrong, calibrate)


def test_file_size_baseline_of_the_real_validation_set():
    """The figure that comes with the data: JPEG size alone separates the classes at AUC 0.60."""
    index = DATA / "dfdc_faces" / "index.csv"
    if not index.is_file():
        pytest.skip(f"{index} is missing")
    result = evaluate_crops(index, lambda p: np.zeros(len(p)), calibrate, split="val", draws=10)
    assert (result["n_real"], result["n_fake"]) == (751, 800)
    assert result["baseline_file_size_auc"] == pytest.approx(0.60, abs=0.01)
    assert result["auc"] == 0.5


def scan(path: Path) -> ScanResult:
    """A file's text is its probability, or the reason why there is none."""
    text = path.read_text()
    common = {
        "path": str(path), "sha256": None, "threshold": 0.8, "authentic_threshold": 0.2, "fpr": 0.05, "reason": "",
        "coverage": None, "faces": [], "picture": None, "media": None, "timings": None,
        "versions": Versions(interceptor="0", weights={}),
    }  # fmt: skip
    if text == "no_face":
        return ScanResult(verdict="no_face", probability=None, errors=[], **common)
    if text == "broken":
        problem = Problem(cause="truncated", message=f"{path}: ends early")
        return ScanResult(verdict="error", probability=None, errors=[problem], **common)
    p = float(text)
    verdict = "forged" if p >= 0.8 else "authentic" if p <= 0.2 else "inconclusive"
    return ScanResult(verdict=verdict, probability=p, errors=[], **common)


def write_videos(folder: Path, **files: list[str]) -> Path:
    for name, contents in files.items():
        (folder / name / "deep").mkdir(parents=True)
        for i, content in enumerate(contents):
            (folder / name / "deep" / f"{i}.mp4").write_text(content)
    return folder


def test_videos_figures_coverage_and_verdicts(tmp_path):
    write_videos(tmp_path, real=["0.1", "0.3", "0.85", "no_face"], fake=["0.5", "0.9", "0.95", "broken"])
    (tmp_path / "real" / ".DS_Store").write_text("hidden")
    (tmp_path / "fake" / ".trash").mkdir()
    (tmp_path / "fake" / ".trash" / "old.mp4").write_text("0.5")
    seen = []
    result = evaluate_videos(tmp_path, scan, progress=lambda done, of: seen.append((done, of)))
    assert result["auc"] == pytest.approx(8 / 9)
    assert (result["n_real"], result["n_fake"]) == (3, 3)
    assert result["false_alarm_rate"] == pytest.approx(1 / 3)
    assert result["detection_rate"] == pytest.approx(2 / 3)
    assert result["intervals"]["false_alarm_rate"][0] > 0
    assert result["stated_fpr"] == 0.05
    assert result["coverage"] == {
        "files": 8,
        "scored": 6,
        "share": 0.75,
        "failures": {"no_face": 1, "truncated": 1},
    }
    assert result["verdicts"] == {
        "real": {"forged": 1, "authentic": 1, "inconclusive": 1, "no_face": 1, "error": 0},
        "fake": {"forged": 2, "authentic": 0, "inconclusive": 1, "no_face": 0, "error": 1},
    }
    assert result["files"][2] == {
        "path": "real/deep/2.mp4",
        "label": 0,
        "probability": 0.85,
        "verdict": "forged",
        "cause": None,
    }
    assert result["files"][7]["cause"] == "truncated"
    assert seen[-1] == (8, 8)
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_videos_with_one_class_scored_leave_measures_null(tmp_path):
    result = evaluate_videos(write_videos(tmp_path, real=["0.1", "0.9"], fake=["no_face"]), scan)
    assert result["auc"] is result["detection_rate"] is result["intervals"]["detection_rate"] is None
    assert result["false_alarm_rate"] == 0.5
    assert "only authentic items were scored" in result["notes"][0]


def test_videos_folder_errors_name_the_folder(tmp_path):
    with pytest.raises(ValueError, match=r"real: no such folder; .* must hold the folders real and fake"):
        evaluate_videos(tmp_path, scan)
    write_videos(tmp_path, real=["no_face"])
    with pytest.raises(ValueError, match="fake: no such folder"):
        evaluate_videos(tmp_path, scan)
    write_videos(tmp_path, fake=[])
    with pytest.raises(ValueError, match="fake: the folder holds no files"):
        evaluate_videos(tmp_path, scan)
    (tmp_path / "fake" / "a.mp4").write_text("broken")
    with pytest.raises(ValueError, match=r"none of 2 files could be scored: .*'no_face': 1, 'truncated': 1"):
        evaluate_videos(tmp_path, scan)


def test_commands_tell_failures_by_their_exit_status(tmp_path, monkeypatch):
    class Screen:
        look = staticmethod(lambda crops: SimpleNamespace(logits=score(crops)))
        probability = staticmethod(calibrate)

    monkeypatch.setattr("interceptor.detect.screen.Screen", Screen)
    monkeypatch.setattr(
        "interceptor.detect.scan.Scanner", lambda **_: SimpleNamespace(scan=scan, remark=None, errors=[])
    )

    def status(*arguments):
        return CliRunner().invoke(app, ["evaluate", *map(str, arguments)]).exit_code

    index = write_index(tmp_path / "crops", grey_rows())
    videos = write_videos(tmp_path / "videos", real=["0.1", "no_face"], fake=["0.9"])
    assert (status("crops", index), status("videos", videos)) == (0, 0)
    (tmp_path / "crops" / "r100.png").write_text("no picture")
    (videos / "fake" / "cut.mp4").write_text("broken")
    assert (status("crops", index), status("videos", videos)) == (1, 1)
