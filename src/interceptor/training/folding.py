"""Folding for export: what is linear at inference becomes one matrix, and batch norms disappear into what they follow.

Over the single token of the vector fusion, attention is `out_proj(v_proj(x))`. So projection, value and output
projections and the classifier's first layer are one linear map, and are stored as one. All products are taken in
float64.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils import fusion

from interceptor.models.specialist import SpecialistHead, SpecialistModel, VectorFusion


class FoldedVectorHead(nn.Module):
    """The vector fusion's head in evaluation mode: the module, then a plain classifier over the joined features."""

    def __init__(self, head: SpecialistHead) -> None:
        super().__init__()
        fusing = head.fusion
        if not isinstance(fusing, VectorFusion):
            raise TypeError("only a head with fusion='vector' folds into one matrix")
        self.module = head.module
        attention = fusing.attention
        value = _linear(attention.in_proj_weight.chunk(3)[2], attention.in_proj_bias.chunk(3)[2])
        layers = list(head.classifier)
        self.classifier = nn.Sequential(chained(fusing.projection, value, attention.out_proj, layers[0]), *layers[1:])

    def forward(self, tokens: Tensor, pooled: Tensor, lens: Tensor) -> Tensor:
        return self.classifier(torch.cat([pooled, self.module(lens).flatten(1)], 1))


def chained(*layers: nn.Linear) -> nn.Linear:
    """One linear layer that does what `layers` do one after another."""
    first, *rest = layers
    weight, bias = first.weight.detach().double(), first.bias.detach().double()
    for layer in rest:
        matrix = layer.weight.detach().double()
        weight, bias = matrix @ weight, matrix @ bias + layer.bias.detach().double()
    return _linear(weight.float(), bias.float())


def folded(model: SpecialistModel) -> SpecialistModel:
    """A copy in evaluation mode with the same outputs (to 1e-4) and fewer parameters; `model` is left as it is."""
    result = copy.deepcopy(model).eval()
    if isinstance(result.head.fusion, VectorFusion):
        result.head = FoldedVectorHead(result.head)
    fold_batch_norms(result.eval())
    return result


def fold_batch_norms(model: nn.Module) -> None:
    """Take every batch norm that comes right after a convolution or linear layer among its parent's children into
    that layer. Changes `model`, which must be in evaluation mode.
    """
    before: tuple[str, nn.Module] | None = None
    for name, child in list(model.named_children()):
        if isinstance(child, nn.BatchNorm2d | nn.BatchNorm1d) and before is not None:
            previous, layer = before
            if isinstance(layer, nn.Conv2d):
                setattr(model, previous, fusion.fuse_conv_bn_eval(layer, child))
            elif isinstance(layer, nn.Linear):
                setattr(model, previous, fusion.fuse_linear_bn_eval(layer, child))
            else:
                raise TypeError(f"{name} follows {type(layer).__name__}, into which no batch norm folds")
            setattr(model, name, getattr(child, "act", nn.Identity()))  # timm keeps the activation in the norm
        else:
            fold_batch_norms(child)
        before = name, child


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight = nn.Parameter(weight.detach().clone())
    layer.bias = nn.Parameter(bias.detach().clone())
    return layer
