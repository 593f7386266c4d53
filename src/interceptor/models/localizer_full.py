"""The full localizer: an FPN over an ImageNet encoder, with an attention gate on what the decoder found.

Feature pyramid: Lin et al., CVPR 2017, as segmentation-models-pytorch builds it. Encoders: EfficientNet-B2 (Tan and Le,
ICML 2019), and for a CPU its lite twins, which have no squeeze-excitation; lite2 has B2's widths and depths.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from interceptor.models.localizer import RARE, Gate, GateAt

ENCODERS = {
    "efficientnet_b2": "efficientnet-b2",
    "efficientnet_lite0": "tu-tf_efficientnet_lite0",
    "efficientnet_lite2": "tu-tf_efficientnet_lite2",
}
"""By smp's names, which takes a `tu-` encoder from timm."""
PYRAMID = 256
SEGMENTATION = 128
"""Channels of the four levels' common map, a quarter of the picture a side."""


class FullLocalizer(nn.Module):
    """Pictures `float[n, 3 or 4, h, w]`, sides divisible by 32, ImageNet-normalised, to logits `[n, h, w]`.

    A fourth channel is error level analysis. `gate` says what the gate weighs: the decoder's features (as it should
    be), the logits, or nothing. `pretrained` fetches the encoder's ImageNet weights from smp's hub. Raises `ValueError`
    for another encoder, gate or number of channels.
    """

    def __init__(
        self,
        encoder: str = "efficientnet_b2",
        channels: int = 3,
        gate: GateAt = "features",
        *,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        if encoder not in ENCODERS:
            raise ValueError(f"no encoder {encoder!r}; choose from {', '.join(ENCODERS)}")
        if channels not in (3, 4):
            raise ValueError(f"a picture has 3 channels, or 4 with error levels, not {channels}")
        if gate not in get_args(GateAt):
            raise ValueError(f"no gate {gate!r}; choose from {', '.join(get_args(GateAt))}")
        network = smp.FPN(
            ENCODERS[encoder],
            encoder_weights="imagenet" if pretrained else None,
            in_channels=channels,
            decoder_pyramid_channels=PYRAMID,
            decoder_segmentation_channels=SEGMENTATION,
        )
        # Under smp's own names, so that the weights of a plain FPN fit.
        self.encoder, self.decoder = network.encoder, network.decoder
        self.segmentation_head = network.segmentation_head
        self.gate = None if gate == "none" else Gate(SEGMENTATION)
        self.gates_logits = gate == "logits"
        nn.init.constant_(self.segmentation_head[0].bias, RARE)

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.decoder(self.encoder(pictures))
        if self.gate is None:
            return self.segmentation_head(x)[:, 0]
        weight = self.gate(x)
        if self.gates_logits:  # enlarged as they are; a logit of 0 is "undecided"
            return (self.segmentation_head(x) * self.segmentation_head[1](weight))[:, 0]
        return self.segmentation_head(x * weight)[:, 0]

    def start_from(self, imagenet: Mapping[str, Tensor]) -> None:
        """Load an encoder's ImageNet weights under timm's names. The error-level channel begins as the mean of the
        three colours. Raises `ValueError` where tensors are missing or of another shape.
        """
        state = self.encoder.state_dict()
        prefix = "model." if any(name.startswith("model.") for name in state) else ""
        found = {name: imagenet[name.removeprefix(prefix)] for name in state if name.removeprefix(prefix) in imagenet}
        if missing := sorted(set(state) - set(found)):
            raise ValueError(f"the start lacks {len(missing)} of the encoder's tensors, the first {missing[0]}")
        stem = next(name for name, tensor in state.items() if tensor.ndim == 4)
        if state[stem].shape[1] == 4:
            found[stem] = torch.cat([found[stem], found[stem].mean(1, keepdim=True)], 1)
        try:
            self.encoder.load_state_dict(found)
        except RuntimeError as error:
            raise ValueError(f"the start is that of another encoder: {error}") from error
