"""Export of the student as one ONNX file: batch norms folded, weights stored in half precision; and its card."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from interceptor.models.student import Student
from interceptor.training import checkpoints
from interceptor.training.card import LIMITS
from interceptor.training.folding import fold_batch_norms

OPSET = 20
SMALL = 4096
"""Tensors of fewer numbers stay in single precision."""
LICENCE = (
    "Apache-2.0 for this project's training and for the ImageNet weights of EfficientNet-Lite0 it started from. The "
    "faces it was trained on come under their owners' terms, most for research only: check them before commercial use."
)


class _Deployed(nn.Module):
    """Takes crops as they are cut: uint8[n, 224, 224, 3]."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def forward(self, crops: Tensor) -> Tensor:
        return self.student(crops.permute(0, 3, 1, 2))


def write_student(student: Student, out: Path) -> None:
    """Write `student` as ONNX: input `crops` uint8[n, 224, 224, 3] RGB, output `logit` float32[n], above 0 leaning
    forged.
    """
    folded = copy.deepcopy(student).eval()
    fold_batch_norms(folded)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "student.onnx"
        torch.onnx.export(
            _Deployed(folded).eval(),
            (torch.zeros(2, 224, 224, 3, dtype=torch.uint8),),
            file,
            dynamo=True,
            external_data=False,
            verbose=False,
            opset_version=OPSET,
            input_names=["crops"],
            output_names=["logit"],
            dynamic_shapes=({0: torch.export.Dim("n", min=1, max=4096)},),
        )
        model = onnx.load(str(file))
    _halve(model.graph)
    onnx.checker.check_model(model)
    checkpoints.write_bytes(out, model.SerializeToString())


def _halve(graph: onnx.GraphProto) -> None:
    """Store large tensors in half precision; the runtime makes them single again when it loads the file."""
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALL:
            continue
        name = tensor.name
        half = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    for node in nodes:
        del node.metadata_props[:]  # where in the Python code it came from
    del graph.node[:]
    graph.node.extend(nodes)


def write_run(run: Path, out: Path) -> Path:
    """Write the best student of the run in the folder `run` as `student.onnx` into the folder `out`.

    Returns the file. Raises `CheckpointError`.
    """
    student = Student(_read_card(run)["recipe"]["size"])
    try:
        student.load_state_dict(checkpoints.read_tensors(run / "best.safetensors"))
    except RuntimeError as error:
        raise checkpoints.CheckpointError(f"{run}: holds another network than a student: {error}") from error
    write_student(student, out / "student.onnx")
    return out / "student.onnx"


def _read_card(run: Path) -> dict[str, Any]:
    file = run / "run.json"
    if not file.is_file():
        raise checkpoints.CheckpointError(f"{file}: no such file; {run} is not the folder of a run")
    return json.loads(file.read_text())


def student_card(folder: Path, file: Path) -> dict[str, Any]:
    """The card of the student of the run in `folder`, written as `file`; calibration and figures come on top."""
    run = _read_card(folder)
    size = run["recipe"]["size"]
    return {
        "name": "student",
        "what": f"EfficientNet-Lite0 at {size} x {size} pixels and a linear layer, taught by {run['teacher']['file']}",
        "files": {file.name: checkpoints.sha256(file)},
        "input": "uint8[n, 224, 224, 3] RGB face crops in the crop convention of docs/faces.md",
        "command": run["command"],
        "recipe": run["recipe"],
        "teacher": run["teacher"],
        "start": run["start"],
        "trained_on": [
            f"{name}: {entry['train']} crops, {entry['val']} for validation" for name, entry in run["data"].items()
        ],
        "data": run["data"],
        "step": run["best"]["step"],
        "validation": run["best"],
        "licence": LICENCE,
        "limits": ["It imitates the standard tier, and is less accurate.", *LIMITS],
    }
