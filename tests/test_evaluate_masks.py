"""Evaluation of localisations on folders, bad input included, and the commands around it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import localizer_maker
from interceptor import cli
from interceptor.datasets.masks import read_instances
from interceptor.datasets.pictures import pair_folders
from interceptor.detect.localize import Localizer
from interceptor.evaluation.masks import evaluate_masks
from interceptor.evaluation.predictions import localizer_predictions, stored_predictions
from interceptor.metrics.maps import sigmoid

SIZE = (20, 30)


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        Image.fromarray(values).save(path)


def region(rows: int) -> np.ndarray:
    """The first `rows` of 20 rows are forged."""
    mask = np.zeros(SIZE, bool)
    mask[:rows] = True
    return mask


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two forged and two authentic pictures, predicted well, half, well and wrongly."""
    grey = np.full((*SIZE, 3), 120, np.uint8)
    for name in ("forged/a.png", "forged/sub/b.png", "authentic/c.png", "authentic/d.jpg"):
        save(tmp_path / name, grey)
    save(tmp_path / "masks/a.png", region(10).astype(np.uint8) * 255)
    planes = np.stack([region(2), region(4) & ~region(2)])
    save(tmp_path / "masks/sub/b.npy", planes.astype(np.uint8))
    save(tmp_path / "predictions/a.npy", region(10).astype(np.float32) * 0.9)
    save(tmp_path / "predictions/sub/b.png", region(2).astype(np.uint8) * 255)
    save(tmp_path / "predictions/c.png", np.zeros(SIZE, np.uint8))
    save(tmp_path / "predictions/d.npy", np.stack([region(1), region(1)]))
    return tmp_path


def evaluated(data: Path) -> dict:
    pictures, unpaired = pair_folders(data / "forged", data / "masks", data / "authentic")
    assert unpaired == []
    return evaluate_masks(
        pictures, stored_predictions(data / "forged", data / "predictions", data / "authentic"), draws=100
    )


def test_figures_by_hand(data: Path) -> None:
    found = evaluated(data)
    assert (found["n_forged"], found["n_authentic"]) == (2, 2)
    assert found["f1"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["iou"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["recall"] == pytest.approx(0.75)
    assert found["precision"] == 1
    assert found["auc"] == pytest.approx((1 + 0.75) / 2)
    # one instance of one; one right of two; both authentic; authentic called forged
    assert found["of1"] == pytest.approx((1 + 0.5 + 1 + 0) / 4)
    assert found["false_alarm_rate"] == 0.5
    assert found["false_area"] == pytest.approx(0.05 / 2)
    assert found["picture"]["auc"] == pytest.approx((0.5 + 0 + 1 + 1) / 4)  # a: .9, b: 1, c: 0, d: 1; ties count half
    assert found["picture"]["balanced_accuracy"] == 0.75
    assert found["small"] == {"n": 0, "f1": None, "recall": None}
    assert [entry["n"] for entry in found["by_area"]] == [1, 1]
    assert found["by_area"][0]["area"] == [0.2, 0.2]
    assert found["pixel_ece"] == pytest.approx((0.05 + 0.1 + 0.05) / 4)  # bins of .9, 0 and 1
    low, high = found["intervals"]["f1"]
    assert low <= found["f1"] <= high
    assert found["coverage"] == {"pictures": 4, "scored": 4, "failures": {}}
    assert {kind: row["n_forged"] for kind, row in found["by_kind"].items()} == {"authentic": 0, "forged": 1, "sub": 1}
    assert found["by_kind"]["sub"]["f1"] == pytest.approx(2 / 3)
    assert found["by_kind"]["authentic"]["false_alarm"] == 0.5
    json.dumps(found, allow_nan=False)


def break_size(data: Path) -> None:
    save(data / "masks/a.png", np.full((20, 31), 255, np.uint8))


def break_values(data: Path) -> None:
    save(data / "masks/a.png", np.arange(600, dtype=np.uint16).reshape(SIZE).astype(np.uint8))


def break_black(data: Path) -> None:
    save(data / "masks/a.png", np.zeros(SIZE, np.uint8))


def break_missing_mask(data: Path) -> None:
    (data / "masks/a.png").unlink()


def break_mask_file(data: Path) -> None:
    (data / "masks/a.png").write_bytes(b"\x89PNG\r\n no picture")


def break_mask_shape(data: Path) -> None:
    (data / "masks/a.png").unlink()
    save(data / "masks/a.npy", np.zeros((1, 1, *SIZE), bool))


def break_mask_array(data: Path) -> None:
    (data / "masks/a.png").unlink()
    save(data / "masks/a.npy", np.full(SIZE, "forged"))


def break_mask_header(data: Path) -> None:
    break_mask_shape(data)
    content = (data / "masks/a.npy").read_bytes()
    (data / "masks/a.npy").write_bytes(content.replace(b"}", b"{", 1))


def break_mask_colours(data: Path) -> None:
    save(data / "masks/a.png", np.dstack([region(10)] * 2 + [region(3)]).astype(np.uint8) * 255)


def break_picture(data: Path) -> None:
    (data / "forged/a.png").write_bytes(b"no picture")


def break_prediction(data: Path) -> None:
    (data / "predictions/a.npy").unlink()


def break_prediction_size(data: Path) -> None:
    save(data / "predictions/a.npy", np.zeros((5, 5), np.float32))


def break_prediction_values(data: Path) -> None:
    save(data / "predictions/a.npy", np.full(SIZE, np.nan, np.float32))


def break_prediction_type(data: Path) -> None:
    save(data / "predictions/a.npy", np.ones(SIZE, np.uint8))


def break_prediction_file(data: Path) -> None:
    (data / "predictions/a.npy").write_bytes(b"nothing")


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (break_size, "mask_size"),
        (break_values, "mask_values"),
        (break_black, "empty_mask"),
        (break_missing_mask, "missing_mask"),
        (break_mask_file, "mask_unreadable"),
        (break_mask_shape, "mask_shape"),
        (break_mask_array, "mask_unreadable"),
        (break_mask_header, "mask_unreadable"),
        (break_mask_colours, "mask_values"),
        (break_picture, "not_media"),
        (break_prediction, "missing_prediction"),
        (break_prediction_size, "prediction_size"),
        (break_prediction_values, "prediction_values"),
        (break_prediction_type, "prediction_values"),
        (break_prediction_file, "prediction_unreadable"),
    ],
)
def test_bad_input_is_listed(data: Path, damage: Callable[[Path], None], cause: str) -> None:
    damage(data)
    found = evaluated(data)
    assert found["coverage"] == {"pictures": 4, "scored": 3, "failures": {cause: 1}}
    assert [(entry["path"], entry["cause"]) for entry in found["failed"]] == [(str(data / "forged/a.png"), cause)]
    assert found["n_forged"] == 1


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "I", "F", "white"])
def test_masks_of_every_kind_of_picture_mean_the_same(tmp_path: Path, mode: str) -> None:
    grey = Image.fromarray(region(7).astype(np.uint8) * 255)
    path, convention = tmp_path / "mask.tif", "binary"
    if mode == "I;16":
        Image.fromarray(region(7).astype(np.uint16) * 65535).save(path)
    elif mode == "white":  # soft edges and JPEG noise
        path, convention = tmp_path / "mask.jpg", "white"
        grey.save(path, quality=80)
    else:
        grey.convert("RGB" if mode == "CMYK" else "L").convert(mode).save(path)
    found = read_instances(path, convention)
    np.testing.assert_array_equal(found, region(7)[None])


def test_a_picture_one_pixel_wide_is_measured(tmp_path: Path) -> None:
    mask = np.zeros((40, 1), bool)
    mask[5:20] = True
    save(tmp_path / "forged/a.png", np.full((40, 1, 3), 90, np.uint8))
    save(tmp_path / "masks/a.png", mask.astype(np.uint8) * 255)
    pictures, _ = pair_folders(tmp_path / "forged", tmp_path / "masks")
    assert evaluate_masks(pictures, lambda rgb, path: mask.astype(float), draws=10)["f1"] == 1


def test_what_is_undefined_is_none_or_counted(data: Path) -> None:
    save(data / "masks/a.png", np.full(SIZE, 255, np.uint8))
    pictures, _ = pair_folders(data / "forged", data / "masks")
    found = evaluate_masks(pictures, stored_predictions(data / "forged", data / "predictions"), draws=20)
    assert found["undefined"] == {"ap": 1, "auc": 1}
    assert found["auc"] == 0.75
    assert found["false_alarm_rate"] is None
    assert found["picture"]["auc"] is None
    assert found["picture"]["notes"]


def test_nothing_to_measure_is_an_error(data: Path) -> None:
    for path in (data / "predictions").rglob("*.*"):
        path.unlink()
    with pytest.raises(ValueError, match="missing_prediction"):
        evaluated(data)


def test_folders_that_do_not_fit_are_errors(data: Path) -> None:
    with pytest.raises(ValueError, match="no such folder"):
        pair_folders(data / "forged", data / "nowhere")
    (data / "empty").mkdir()
    with pytest.raises(ValueError, match="no pictures"):
        pair_folders(data / "empty", data / "masks")
    save(data / "masks/a.npy", region(1))
    with pytest.raises(ValueError, match="suffix only"):
        pair_folders(data / "forged", data / "masks")


def test_the_localizers_own_probabilities_and_instances_count(tmp_path: Path) -> None:
    folder = localizer_maker.standard(tmp_path, {"highres_no_ela": 1.0})
    rgb = np.full((300, 400, 3), (56, 120, 120), np.uint8)  # a logit of -2
    save(tmp_path / "authentic/b.png", rgb)
    masks = np.zeros((2, 300, 400), bool)
    masks[0, 40:120, 60:160], masks[1, 200:280, 220:340] = True, True
    rgb[masks.any(0)] = (248, 120, 120)  # one of 4
    save(tmp_path / "forged/a.png", rgb)
    save(tmp_path / "masks/a.npy", masks)
    pictures, _ = pair_folders(tmp_path / "forged", tmp_path / "masks", tmp_path / "authentic")
    found = evaluate_masks(pictures, localizer_predictions(Localizer(folder)), draws=20)
    assert found["f1"] > 0.9
    assert found["of1"] > 0.9  # two instances of two, where the map as one would score half
    assert found["false_alarm_rate"] == 0
    scores = {row["label"]: row["score"] for row in found["pictures"]}
    assert scores == pytest.approx({1: sigmoid(4.0), 0: sigmoid(-2.0)}, abs=2e-3)
    assert found["seconds"] > 0


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.app, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_the_command(data: Path) -> None:
    save(data / "masks/orphan.png", np.zeros(SIZE, np.uint8))
    folders = ["--images", data / "forged", "--masks", data / "masks", "--predictions", data / "predictions"]
    command = ["evaluate", "masks", *folders, "--authentic", data / "authentic"]
    code, out, _ = run(*command, "--format", "json")
    found = json.loads(out)
    assert code == 0
    assert found["f1"] == pytest.approx(5 / 6)
    assert found["masks_without_picture"] == [str(data / "masks/orphan.png")]
    assert len(found["pictures"]) == 4
    text = run(*command)[1]
    assert text.startswith("2 forged pictures, 2 authentic; 4 of 4 measured")
    assert [line.split() for line in text.splitlines()][3] == ["f1", "0.833", "0.667", "to", "1.000"]
    assert "mask without a picture" in text
    save(data / "masks/a.png", np.zeros(SIZE, np.uint8))
    code, out, _ = run(*command)
    assert code == 1, "figures that leave pictures out are no success"
    assert f"not measured: {data / 'forged/a.png'}: nothing is forged in its mask" in out
    assert run(*command, "--convention", "pink")[0] == 2
    assert run("evaluate", "masks", "--images", data, "--masks", data / "no", "--predictions", data)[0] == 2


def test_checking_a_submission(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "submission.csv"
    file.write_text('case_id,annotation\nc,authentic\nd,"[599, 2]"\n')
    assert run("check", "submission", file, "--images", data / "authentic")[0] == 0
    file.write_text('case_id,annotation\nc,authentic\nd,"[599, 3]"\n')
    assert run("check", "submission", file)[0] == 0
    code, out, err = run("check", "submission", file, "--images", data / "authentic")
    assert code == 1
    assert out.startswith("line 3, case d: list 1: the last run ends at pixel 601")
    assert "1 problem" in err
    code, out, _ = run("check", "submission", file, "--images", data / "authentic", "--format", "json")
    assert json.loads(out)["problems"][0]["line"] == 3
    code, _, err = run("check", "submission", tmp_path / "none.csv")
    assert code == 2
    assert f"{tmp_path / 'none.csv'}: no such file; `interceptor submit" in err
    code, _, err = run("check", "submission", tmp_path)
    assert (code, err.strip()) == (2, f"error: {tmp_path}: Is a directory")
    (data / "authentic/d.jpg").write_bytes(b"no picture")
    code, _, err = run("check", "submission", file, "--images", data / "authentic")
    assert code == 0
    assert "cannot be checked" in err


def test_no_extras_are_needed() -> None:
    code = (
        "import sys, interceptor.evaluation.masks, interceptor.detect.submission, interceptor.datasets.layouts, "
        "interceptor.forges.pictures; extras = {'torch', 'timm', 'sklearn', 'scipy', 'skimage'}; "
        "print(sorted(extras & {name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
