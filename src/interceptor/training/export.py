"""Export of the screen: one ONNX graph that holds the tuned parameters and points into the base file for the rest.

ONNX lets a tensor live in another file at an offset; a safetensors file is raw tensors behind a header. So the graph
names the base file's own bytes, nothing is stored twice, and the two are joined by whatever runtime loads the graph.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from interceptor.models.foundation import BLOCKS, GRID, MEAN, SIZE, STD, TAPS, WIDTH, base_from_timm
from interceptor.models.screen import BANDS
from interceptor.training import checkpoints

HEADS = 12
OPSET = 20
BASE_NAME = "foundation.safetensors"
_TYPES = {"I8": TensorProto.INT8, "F32": TensorProto.FLOAT}


@dataclass(frozen=True)
class BaseFile:
    """Where each tensor lies in a safetensors file: name -> (ONNX type, shape, offset, length in bytes)."""

    path: Path
    tensors: dict[str, tuple[int, list[int], int, int]]

    @classmethod
    def open(cls, path: Path) -> BaseFile:
        with path.open("rb") as file:
            header_length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(header_length))
        header.pop("__metadata__", None)
        tensors = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            tensors[name] = (_TYPES[entry["dtype"]], entry["shape"], 8 + header_length + begin, end - begin)
        return cls(path, tensors)


def load_base(path: Path) -> dict[str, torch.Tensor]:
    """The base file's tensors, out of such a file or out of timm's float weights (then quantised here).

    Raises `CheckpointError` where the file is neither.
    """
    tensors = checkpoints.read_tensors(path)
    if any(name.endswith(".scale") for name in tensors):
        return tensors
    try:
        return base_from_timm(tensors)
    except KeyError as error:
        raise checkpoints.CheckpointError(
            f"{path}: tensor {error} is missing; expected timm's vit_base_patch16_clip_quickgelu_224 or {BASE_NAME}"
        ) from error


def export_screen(base: dict[str, torch.Tensor], tuned: dict[str, torch.Tensor], folder: Path) -> tuple[Path, Path]:
    """Write base and screen side by side. A base file already there must hold the same bytes, and is left alone.

    Returns (base file, screen file). Raises `CheckpointError` where another base lies in the folder.
    """
    file = folder / BASE_NAME
    if file.is_file():
        present = checkpoints.read_tensors(file)
        if present.keys() != base.keys() or any(not torch.equal(present[name], base[name]) for name in base):
            raise checkpoints.CheckpointError(f"{file}: another base; the screen was not tuned on it")
    else:
        checkpoints.write_tensors(file, base)
    write_screen(file, tuned, folder / "screen.onnx")
    return file, folder / "screen.onnx"


class _Graph:
    """A graph being written: nodes, small tensors inside, large ones by reference."""

    def __init__(self, base: BaseFile, tuned: dict[str, torch.Tensor]) -> None:
        self.base, self.tuned = base, tuned
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}
        self.halves: set[str] = set()
        self.count = 0

    def op(self, kind: str, *inputs: str, **attributes: object) -> str:
        self.count += 1
        output = f"{kind.lower()}_{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: np.ndarray) -> str:
        self.initializers[name] = numpy_helper.from_array(value, name)
        return name

    def half(self, name: str, value: torch.Tensor) -> str:
        """A tensor stored in half precision; `name` is its value in single precision."""
        stored = self.constant(f"{name}.half", value.detach().half().numpy())
        self.nodes.append(helper.make_node("Cast", [stored], [name], name=name, to=TensorProto.FLOAT))
        self.halves.add(name)
        return name

    def weight(self, name: str) -> str:
        """A tuned tensor (stored in this graph) or else the base's own (stored there)."""
        if name in self.initializers or name in self.halves:
            return name
        if name in self.tuned:
            return self.constant(name, self.tuned[name].detach().float().numpy())
        kind, shape, offset, length = self.base.tensors[name]
        tensor = TensorProto(name=name, data_type=kind, dims=shape, data_location=TensorProto.EXTERNAL)
        for key, value in (("location", self.base.path.name), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        self.initializers[name] = tensor
        return name

    def linear(self, x: str, name: str) -> str:
        matrix = self.op("DequantizeLinear", self.weight(f"{name}.weight"), self.weight(f"{name}.scale"), axis=1)
        return self.op("Add", self.op("MatMul", x, matrix), self.weight(f"{name}.bias"))

    def norm(self, x: str, name: str) -> str:
        return self.op(
            "LayerNormalization", x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), epsilon=1e-5
        )


def write_screen(base: Path, tuned: dict[str, torch.Tensor], out: Path) -> None:
    """Write the screen's graph to `out`, which must lie beside `base`.

    Input `crops` uint8[n, 224, 224, 3] RGB. Outputs: `logit` float32[n]; `heat` float32[n, 14, 14] (each patch's
    share of the logit: their mean plus the class tokens' part is the logit); for heads that share this pass, `tokens`
    float32[n, 49, 3072] (patch tokens of the four depths side by side, pooled to 7 x 7) and `classes` float32[n, 3072].
    Raises `ValueError` where the two would not lie side by side.
    """
    if base.resolve().parent != out.resolve().parent:
        raise ValueError(f"{out}: must lie in the same folder as {base}, which it refers to")
    graph = _Graph(BaseFile.open(base), tuned)
    taps = _tokens(graph)
    logit, heat = _readout(graph, taps)
    tokens, classes = _pooled(graph, taps)
    rename = {logit: "logit", heat: "heat", tokens: "tokens", classes: "classes"}
    for node in graph.nodes:
        node.output[:] = [rename.get(name, name) for name in node.output]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "screen",
            [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", SIZE, SIZE, 3])],
            [
                helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["n"]),
                helper.make_tensor_value_info("heat", TensorProto.FLOAT, ["n", GRID, GRID]),
                helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["n", (GRID // 2) ** 2, len(TAPS) * WIDTH]),
                helper.make_tensor_value_info("classes", TensorProto.FLOAT, ["n", len(TAPS) * WIDTH]),
            ],
            list(graph.initializers.values()),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=10,
        producer_name="interceptor",
    )
    checkpoints.write_bytes(out, model.SerializeToString())
    onnx.checker.check_model(str(out))


def read_tuned(path: Path) -> dict[str, torch.Tensor]:
    """The tuned parameters out of a screen's graph, by the names `Screen.tuned` gives them."""
    model = onnx.load(str(path), load_external_data=False)
    return {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in model.graph.initializer
        if tensor.data_location != TensorProto.EXTERNAL and tensor.name.startswith(("blocks.", "norm_pre.", "readout."))
    }


def _tokens(graph: _Graph, pixels: str = "crops", grid: int = GRID, depths: Sequence[int] = TAPS) -> list[str]:
    """The foundation: names of the token tensors [n, 1 + grid * grid, 768] after each block of `depths`."""
    mean = graph.constant("pixel_mean", np.array(MEAN, np.float32) * 255)
    std = graph.constant("pixel_std", np.array(STD, np.float32) * 255)
    rows = graph.op("Shape", pixels, start=0, end=1)
    pixels = graph.op("Cast", pixels, to=TensorProto.FLOAT)
    pixels = graph.op("Div", graph.op("Sub", pixels, mean), std)
    pixels = graph.op("Transpose", pixels, perm=[0, 3, 1, 2])
    patches = graph.op("Conv", pixels, graph.weight("patch_embed.proj.weight"), strides=[16, 16], kernel_shape=[16, 16])
    shape = graph.constant("patch_shape", np.array([0, WIDTH, grid * grid]))
    patches = graph.op("Transpose", graph.op("Reshape", patches, shape), perm=[0, 2, 1])
    expanded = graph.op("Concat", rows, graph.constant("token_shape", np.array([1, WIDTH])), axis=0)
    token = graph.op("Expand", graph.weight("cls_token"), expanded)
    x = graph.op("Add", graph.op("Concat", token, patches, axis=1), graph.weight("pos_embed"))
    x = graph.norm(x, "norm_pre")
    taps = []
    for i in range(BLOCKS):
        x = _block(graph, x, f"blocks.{i}.")
        if i in depths:
            taps.append(x)
    return taps


def _block(graph: _Graph, x: str, name: str) -> str:
    heads = graph.constant("head_shape", np.array([0, 0, 3, HEADS, WIDTH // HEADS]))
    whole = graph.constant("token_width", np.array([0, 0, WIDTH]))
    root = graph.constant("attention_scale", np.array((WIDTH // HEADS) ** -0.5, np.float32))
    qkv = graph.op("Reshape", graph.linear(graph.norm(x, f"{name}norm1"), f"{name}attn.qkv"), heads)
    q, k, v = (
        graph.op(
            "Gather",
            graph.op("Transpose", qkv, perm=[2, 0, 3, 1, 4]),
            graph.constant(f"index_{i}", np.array(i)),
            axis=0,
        )
        for i in range(3)
    )
    scores = graph.op("MatMul", graph.op("Mul", q, root), graph.op("Transpose", k, perm=[0, 1, 3, 2]))
    attended = graph.op("Transpose", graph.op("MatMul", graph.op("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    x = graph.op("Add", x, graph.linear(graph.op("Reshape", attended, whole), f"{name}attn.proj"))
    hidden = graph.linear(graph.norm(x, f"{name}norm2"), f"{name}mlp.fc1")
    gate = graph.op("Sigmoid", graph.op("Mul", hidden, graph.constant("quick_gelu", np.array(1.702, np.float32))))
    return graph.op("Add", x, graph.linear(graph.op("Mul", hidden, gate), f"{name}mlp.fc2"))


def _rows(graph: _Graph, tokens: str, begin: int, end: int) -> str:
    """Tokens `begin` to `end` of [n, 197, 768]; token 0 is the class token."""
    first, last, axis = (graph.constant(f"at_{i}", np.array([i])) for i in (begin, end, 1))
    return graph.op("Slice", tokens, first, last, axis)


def _readout(graph: _Graph, taps: list[str]) -> tuple[str, str]:
    """The linear read-out: names of the logit [n] and of the patches' shares [n, 14, 14]."""
    columns = graph.constant("readout_shape", np.array([(len(BANDS) + 1) * len(TAPS), WIDTH, 1]))
    weights = graph.op("Reshape", graph.weight("readout.weight"), columns)

    def products(part: int, begin: int, end: int) -> str:
        """Sum over depths of the tokens' products with the weights of a band, or of the class tokens."""
        each = []
        for index, tokens in enumerate(taps, part * len(TAPS)):
            column = graph.op("Gather", weights, graph.constant(f"index_{index}", np.array(index)), axis=0)
            each.append(graph.op("MatMul", _rows(graph, tokens, begin, end), column))
        return graph.op("Sum", *each)

    bands = []
    for band, rows in enumerate(BANDS):
        scale = graph.constant(f"band_{band}", np.array(GRID / (rows.stop - rows.start), np.float32))
        bands.append(graph.op("Mul", products(band, 1 + rows.start * GRID, 1 + rows.stop * GRID), scale))
    share = graph.op("Concat", *bands, axis=1)
    rest = graph.op("Reshape", products(len(BANDS), 0, 1), graph.constant("flat", np.array([-1])))
    mean = graph.op("ReduceMean", share, graph.constant("token_axes", np.array([1, 2])), keepdims=0)
    logit = graph.op("Sum", mean, rest, graph.weight("readout.bias"))
    return logit, graph.op("Reshape", share, graph.constant("heat_shape", np.array([0, GRID, GRID])))


def _pooled(graph: _Graph, taps: list[str]) -> tuple[str, str]:
    """Names of the pooled patch tokens [n, 49, 3072] and the class tokens [n, 3072] of the four depths."""
    half = GRID // 2
    patches = graph.op("Concat", *(_rows(graph, tokens, 1, 1 + GRID * GRID) for tokens in taps), axis=2)
    blocks = graph.constant("pool_shape", np.array([0, half, 2, half, 2, len(TAPS) * WIDTH]))
    pooled = graph.op(
        "ReduceMean", graph.op("Reshape", patches, blocks), graph.constant("pool_axes", np.array([2, 4])), keepdims=0
    )
    tokens = graph.op("Reshape", pooled, graph.constant("grid_shape", np.array([0, half * half, len(TAPS) * WIDTH])))
    classes = graph.op("Concat", *(_rows(graph, tokens, 0, 1) for tokens in taps), axis=2)
    return tokens, graph.op("Reshape", classes, graph.constant("class_shape", np.array([0, len(TAPS) * WIDTH])))
