"""Export of the standard localizer: one ONNX graph for all members, over the foundation's own file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import nn

from interceptor.models.foundation import WIDTH
from interceptor.models.localizer import CELLS, DEPTHS, MAP, SIDE, LocalizerDecoder, position_embedding
from interceptor.training import checkpoints
from interceptor.training.export import OPSET, BaseFile, _Graph, _rows, _tokens


def write_localizer(base: Path, members: Mapping[str, LocalizerDecoder], out: Path) -> None:
    """Write the graph of all `members` to `out`, which must lie beside `base`. Matrices are kept in half precision.

    Input `pictures` uint8[n, 448, 448, 3] RGB. Outputs: `logits` float32[n, members, 112, 112], in the order of
    `members` (left out where there is none); `tokens` float32[n, 5, 784, 768], what members are trained on. Raises
    `ValueError` where the two would not lie side by side, and for a member whose gate does not weigh features.
    """
    if base.resolve().parent != out.resolve().parent:
        raise ValueError(f"{out}: must lie in the same folder as {base}, which it refers to")
    if others := [name for name, member in members.items() if member.gate is None or member.gates_logits]:
        raise ValueError(f"{', '.join(others)}: only members with the gate on the features can be exported")
    embedding = position_embedding(checkpoints.read_tensors(base)["pos_embed"])
    graph = _Graph(BaseFile.open(base), {})
    graph.half("pos_embed", embedding)
    axis = graph.constant("depth_axis", np.array([1]))
    depths = [
        graph.op("Unsqueeze", _rows(graph, tokens, 1, 1 + CELLS * CELLS), axis)
        for tokens in _tokens(graph, "pictures", CELLS, DEPTHS)
    ]
    tokens = graph.op("Concat", *depths, axis=1)
    rename = {tokens: "tokens"}
    outputs = [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["n", len(DEPTHS), CELLS * CELLS, WIDTH])]
    if members:
        maps = [_decoder(graph, tokens, name, member.eval()) for name, member in members.items()]
        rename[graph.op("Concat", *maps, axis=1)] = "logits"
        outputs.insert(0, helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(members), MAP, MAP]))
    for node in graph.nodes:
        node.input[:] = [rename.get(name, name) for name in node.input]
        node.output[:] = [rename.get(name, name) for name in node.output]
    picture = helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["n", SIDE, SIDE, 3])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "localizer", [picture], outputs, list(graph.initializers.values())),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=10,
        producer_name="interceptor",
    )
    checkpoints.write_bytes(out, model.SerializeToString())
    onnx.checker.check_model(str(out))


def _decoder(graph: _Graph, tokens: str, name: str, model: LocalizerDecoder) -> str:
    """The name of a member's logits [n, 1, 112, 112]."""
    shape = graph.constant("map_shape", np.array([0, 0, CELLS, CELLS]))
    # Depths side by side make the sum of five products a single one.
    matrix = torch.cat([(lateral.weight / std).T for lateral, std in zip(model.lateral, model.std, strict=True)])
    offset = torch.stack([lateral.bias for lateral in model.lateral]).sum(0)
    mean = graph.constant(f"{name}.mean", model.mean[:, None].numpy())
    side_by_side = graph.op("Transpose", graph.op("Sub", tokens, mean), perm=[0, 2, 1, 3])
    flat = graph.op("Reshape", side_by_side, graph.constant("flat_shape", np.array([0, 0, len(DEPTHS) * WIDTH])))
    x = graph.op("MatMul", flat, graph.half(f"{name}.lateral", matrix))
    x = graph.op("Add", x, graph.constant(f"{name}.lateral.bias", offset.detach().numpy()))
    mean = graph.op("ReduceMean", x, graph.constant("place_axis", np.array([1])), keepdims=1)
    context = graph.constant(f"{name}.context", model.context.weight.detach().T.numpy())
    bias = graph.constant(f"{name}.context.bias", model.context.bias.detach().numpy())
    x = graph.op("Sub", x, graph.op("Add", graph.op("MatMul", mean, context), bias))
    x = graph.op("Reshape", graph.op("Transpose", x, perm=[0, 2, 1]), shape)
    refined = _convolutions(
        graph, _convolutions(graph, x, f"{name}.coarse", model.coarse), f"{name}.middle", model.middle
    )
    x = graph.op("Add", refined, x)
    twice = graph.constant("twice", np.array([1, 1, 2, 2], np.float32))
    x = graph.op("Resize", x, "", twice, mode="linear", coordinate_transformation_mode="half_pixel")
    x = _convolutions(graph, x, f"{name}.fine", model.fine)
    x = graph.op("Mul", x, _convolutions(graph, x, f"{name}.gate", model.gate))
    x = _convolutions(graph, x, f"{name}.paint", [model.paint])
    return graph.op("DepthToSpace", x, blocksize=MAP // CELLS // 2, mode="CRD")


def _convolutions(graph: _Graph, x: str, name: str, layers: nn.Sequential | list[nn.Module]) -> str:
    """Convolutions with their batch norms folded in, ReLU and sigmoid, one after the other."""
    steps = list(layers)
    for i, step in enumerate(steps):
        if isinstance(step, nn.Conv2d):
            norm = steps[i + 1] if i + 1 < len(steps) else None
            if isinstance(norm, nn.BatchNorm2d):
                step = nn.utils.fuse_conv_bn_eval(step.eval(), norm)
            weight = graph.half(f"{name}.{i}.weight", step.weight)
            bias = graph.constant(f"{name}.{i}.bias", step.bias.detach().numpy())
            edge = step.padding[0]
            x = graph.op("Conv", x, weight, bias, pads=[edge] * 4, kernel_shape=list(step.kernel_size))
        elif isinstance(step, nn.ReLU | nn.Sigmoid):
            x = graph.op(type(step).__name__.replace("ReLU", "Relu"), x)
    return x
