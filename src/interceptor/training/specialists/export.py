"""Export of a specialist as one ONNX file: a full one, or the head of a standard one."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from interceptor.lenses.half import HALF_SIZE
from interceptor.models.branches import GRID
from interceptor.models.foundation import quantize
from interceptor.models.specialist import SpecialistModel
from interceptor.models.standard import StandardHead
from interceptor.training import checkpoints
from interceptor.training.folding import fold_batch_norms

OPSET = 20
SMALL = 4096
"""Matrices of fewer numbers stay as they are."""


class _Deployed(nn.Module):
    """Takes crops as they are cut, uint8[n, 224, 224, 3], and gives one logit."""

    def __init__(self, model: SpecialistModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, crops: Tensor, lens: Tensor) -> Tensor:
        logits = self.model(crops.permute(0, 3, 1, 2), lens)
        return logits[:, 1] - logits[:, 0]


def write_specialist(model: SpecialistModel, out: Path, *, lens_size: int = 224) -> None:
    """Write `model` (folded, in evaluation mode) as ONNX.

    Inputs `crops` uint8[n, 224, 224, 3] RGB and `lens` float32[n, 3, lens_size, lens_size]; output `logit` float32[n],
    above 0 leans forged.
    """
    example = (torch.zeros(2, 224, 224, 3, dtype=torch.uint8), torch.zeros(2, 3, lens_size, lens_size))
    checkpoints.write_bytes(out, _exported(_Deployed(model), example, ["crops", "lens"]))


def _exported(model: nn.Module, example: tuple[Tensor, Tensor], inputs: list[str]) -> bytes:
    """`model` as an ONNX file for any number of rows."""
    rows = torch.export.Dim("n", min=1, max=4096)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            model.eval(),
            example,
            file,
            dynamo=True,
            external_data=False,
            verbose=False,
            opset_version=OPSET,
            input_names=inputs,
            output_names=["logit"],
            dynamic_shapes=({0: rows}, {0: rows}),
        )
        return file.read_bytes()


class _Head(nn.Module):
    """Takes base tokens and the lens, gives one logit; of the head, what says something."""

    def __init__(self, head: StandardHead) -> None:
        super().__init__()
        self.network, self.module = head.has_network, head.has_module
        self.head = head

    def forward(self, tokens: Tensor, lens: Tensor) -> Tensor:
        logits = self.head(tokens, tokens.mean(1), lens, network=self.network, module=self.module)
        return logits[:, 1] - logits[:, 0]


def write_head(head: StandardHead, out: Path, *, lens_size: int = HALF_SIZE) -> None:
    """Write the head of a standard specialist as ONNX: batch norms folded, matrices in 8 bits with a scale each row. A
    network that says nothing, or a module that its network does not listen to, is left out.

    Inputs `tokens` float32[n, 49, w] and `lens` float32[n, 3, lens_size, lens_size]; output `logit` float32[n], above
    0 leans forged.
    """
    folded = copy.deepcopy(head).eval()
    fold_batch_norms(folded)
    example = (torch.zeros(2, GRID * GRID, len(head.fusion.mean)), torch.zeros(2, 3, lens_size, lens_size))
    model = onnx.load_model_from_string(_exported(_Head(folded), example, ["tokens", "lens"]))
    _quantize_matrices(model.graph)
    onnx.checker.check_model(model)
    checkpoints.write_bytes(out, model.SerializeToString())


def _quantize_matrices(graph: onnx.GraphProto) -> None:
    """Store the large matrices of linear layers as integers, multiplied out again when the file is loaded."""
    columns = {node.input[1]: 1 for node in graph.node if node.op_type == "MatMul"}
    rows = {node.input[1]: 0 for node in graph.node if node.op_type == "Gemm"}  # exported with transB=1
    axes = columns | rows
    nodes, tensors = [], []
    for tensor in graph.initializer:
        if tensor.name not in axes or np.prod(tensor.dims) < SMALL:
            tensors.append(tensor)
            continue
        axis = axes[tensor.name]
        value = torch.from_numpy(numpy_helper.to_array(tensor).copy())
        integers, scale = quantize(value if axis == 0 else value.T)
        integers = integers.T if axis == 0 else integers
        tensors.append(numpy_helper.from_array(np.ascontiguousarray(integers.numpy()), f"{tensor.name}.integers"))
        tensors.append(numpy_helper.from_array(scale.numpy(), f"{tensor.name}.scale"))
        inputs = [f"{tensor.name}.integers", f"{tensor.name}.scale"]
        nodes.append(helper.make_node("DequantizeLinear", inputs, [tensor.name], axis=axis))
    every = [*nodes, *graph.node]
    for node in every:
        del node.metadata_props[:]  # where in the Python code it came from
    del graph.node[:], graph.initializer[:]
    graph.node.extend(every)
    graph.initializer.extend(tensors)
