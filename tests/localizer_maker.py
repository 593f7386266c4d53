"""Stand-ins for trained localizers: networks of one 1 x 1 convolution, which see how red a place is."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from interceptor.metrics.calibration import RATES, RiskCurve
from interceptor.runtime.weights import sha256_of_file

CARD: dict[str, Any] = {
    "pixel_offset": 0.0,
    "calibration": {"slope": 1.0, "offset": 0.0},
    "thresholds": {
        "forged": dataclasses.asdict(RiskCurve(RATES, [2.0] * len(RATES), 0.001)),
        "authentic": dataclasses.asdict(RiskCurve(RATES, [-2.0] * len(RATES), 0.001, "authentic")),
    },
}
WEIGHTS = {"highres_no_ela": 1.5, "hard_negative": 1.2, "high_recall": 1.0, "enhanced_aug": 0.8, "comprehensive": 0.5}
UNION = {"small_forgery": 0.8}


def write_card(
    folder: Path, name: str, members: list[str], files: list[str], changes: Mapping[str, object] | None = None
) -> None:
    card = CARD | {
        "members": members,
        "weights": {member: WEIGHTS[member] for member in members if member in WEIGHTS},
        "union": {member: UNION[member] for member in members if member in UNION},
        "files": {file: sha256_of_file(folder / file) for file in files},
    }
    (folder / f"{name}.json").write_text(json.dumps(card | dict(changes or {})))


def standard(folder: Path, gains: Mapping[str, float]) -> Path:
    """Weights of a standard localizer; a member's logit is its gain times (red - green) / 32."""
    matrix = np.array([[gain / 32, -gain / 32, 0] for gain in gains.values()], np.float32)[..., None, None]
    nodes = [
        helper.make_node("Cast", ["pictures"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Conv", ["cells", "matrix"], ["logits"], kernel_shape=[1, 1]),
    ]
    pictures = helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["n", 448, 448, 3])
    _write(folder / "localizer.onnx", nodes, pictures, ["n", len(gains), 112, 112], matrix)
    write_card(folder, "localizer", list(gains), ["localizer.onnx"])
    return folder


def full(folder: Path, rows: Mapping[str, list[float]]) -> Path:
    """Weights of a full localizer; a member's logit is the product of its row with the 3 or 4 channels of its input."""
    for name, row in rows.items():
        matrix = np.array(row, np.float32)[None, :, None, None]
        nodes = [helper.make_node("Conv", ["image", "matrix"], ["logits"], kernel_shape=[1, 1])]
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", len(row), 512, 512])
        _write(folder / f"localizer_full_{name}.onnx", nodes, image, ["n", 1, 512, 512], matrix)
    files = [f"localizer_full_{name}.onnx" for name in rows]
    write_card(
        folder, "localizer_full", list(rows), files, {"channels": {name: len(row) for name, row in rows.items()}}
    )
    return folder


def _write(path: Path, nodes: list[Any], source: Any, shape: list[Any], matrix: np.ndarray) -> None:
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "localizer", [source], [logits], [numpy_helper.from_array(matrix, "matrix")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
