"""The foundation: the first ten blocks of CLIP ViT-B/16, its matrices frozen as 8-bit integers.

One frozen base, many small tunings: the matrices are stored once as integers and never change; layer norms and biases
are small enough to be tuned for a task. Training multiplies the integers out, so a model is tuned on the very weights
that ship.

Source: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021 (weights: MIT
licence).
"""

from __future__ import annotations

import timm
import torch
from torch import Tensor, nn

ARCHITECTURE = "vit_base_patch16_clip_quickgelu_224.openai"
BLOCKS = 10
TAPS = (3, 5, 7, 9)
"""Blocks (counted from 0) after which tokens are read: after blocks 4, 6, 8 and 10."""
WIDTH = 768
GRID = 14
SIZE = 224
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
MATRICES = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
"""The matrices of a block, by timm's names; everything else of a block (norms, biases) may be tuned."""


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A float matrix `[out, in]` as integers `int8[in, out]` and one scale for each output, `float32[out]`.

    The largest magnitude of each output becomes 127. A matrix that was stored that way before comes back exactly.
    """
    rows = weight.detach().to(torch.float32)
    scale = rows.abs().amax(1).clamp_min(1e-12) / 127
    return (rows / scale[:, None]).round().to(torch.int8).T.contiguous(), scale


def base_from_timm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The base file's tensors out of a timm state dictionary of `ARCHITECTURE` (blocks past the tenth are left out).

    Matrices become `<name>.weight` int8[in, out] and `<name>.scale` float32[out]; the rest stays float32 under timm's
    names. Raises `KeyError` naming the first tensor that is missing.
    """
    base: dict[str, Tensor] = {}
    for name in ("cls_token", "pos_embed", "patch_embed.proj.weight", "norm_pre.weight", "norm_pre.bias"):
        base[name] = state[name].float().contiguous()
    for i in range(BLOCKS):
        block = f"blocks.{i}."
        for matrix in MATRICES:
            base[f"{block}{matrix}.weight"], base[f"{block}{matrix}.scale"] = quantize(state[f"{block}{matrix}.weight"])
            base[f"{block}{matrix}.bias"] = state[f"{block}{matrix}.bias"].float()
        for norm in ("norm1", "norm2"):
            for part in ("weight", "bias"):
                base[f"{block}{norm}.{part}"] = state[f"{block}{norm}.{part}"].float()
    return base


class Foundation(nn.Module):
    """Images in, tokens of four depths out."""

    def __init__(self, base: dict[str, Tensor]) -> None:
        super().__init__()
        vit = timm.create_model(ARCHITECTURE, pretrained=False, num_classes=0)
        vit.blocks = vit.blocks[:BLOCKS]
        vit.norm = nn.Identity()
        vit.load_state_dict(self._multiplied(base))
        self.vit = vit
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)
        self.requires_grad_(False)

    @staticmethod
    def _multiplied(base: dict[str, Tensor]) -> dict[str, Tensor]:
        state = {}
        for name, tensor in base.items():
            if name.endswith(".scale"):
                continue
            scale = base.get(name.removesuffix("weight") + "scale")
            state[name] = tensor if scale is None else (tensor.float() * scale).T.contiguous()
        return state

    def tunable(self) -> dict[str, nn.Parameter]:
        """Layer norms and biases by timm's names: about 0.1 M numbers. Matrices and embeddings are not among them."""
        return {
            name: parameter
            for name, parameter in self.vit.named_parameters()
            if parameter.ndim == 1 and (name.startswith("blocks.") or name.startswith("norm_pre."))
        }

    def half_matrices(self) -> Foundation:
        """Keep the frozen matrices in bfloat16: half the memory and, under autocast, no conversion in every step."""
        for name, parameter in self.vit.named_parameters():
            if parameter.ndim >= 2 and name.startswith(("blocks.", "patch_embed.")):
                parameter.data = parameter.data.bfloat16()
        return self

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """`uint8[n, 3, 224, 224]` RGB to, for each depth of `TAPS`, patch tokens `[n, 196, 768]` and class token `[n,
        768]`.
        """
        x = (images.float() / 255 - self.mean) / self.std
        taps = self.vit.forward_intermediates(
            x, indices=list(TAPS), norm=False, return_prefix_tokens=True, intermediates_only=True, output_fmt="NLC"
        )
        return [(patches, prefix[:, 0]) for patches, prefix in taps]
