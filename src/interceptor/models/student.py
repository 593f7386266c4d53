"""The student: EfficientNet-Lite0 and a linear layer, taught to say what the standard tier says, many times faster."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from interceptor.media.crops import CROP_SIZE
from interceptor.models.backbones import BACKBONES

BACKBONE = "efficientnet_lite0"
DROPOUT = 0.2
STAGES = 7


class Student(nn.Module):
    """Crops in, logits out; the network itself looks at `size` x `size` pixels."""

    def __init__(self, size: int = 160) -> None:
        super().__init__()
        self.size = size
        self.backbone = BACKBONES[BACKBONE].build()
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(self.backbone.width, 1)

    def forward(self, images: Tensor) -> Tensor:
        """`uint8[n, 3, 224, 224]` RGB to logits `float32[n]`; above 0 leans forged."""
        pixels = images.float()
        if self.size != CROP_SIZE:
            pixels = functional.interpolate(pixels, (self.size, self.size), mode="bilinear", align_corners=False)
        _, pooled = self.backbone(pixels)
        return self.head(self.dropout(pooled))[:, 0]

    def stages(self, count: int) -> list[nn.Module]:
        """The stem and the first `count` of `STAGES` stages; none for a negative count."""
        network = self.backbone.network
        return [network.conv_stem, network.bn1, *network.blocks[:count]] if count >= 0 else []


def start(student: Student, weights: dict[str, Tensor]) -> None:
    """Copy timm's weights of the backbone (a classifier is left out), or those of another student.

    Raises `ValueError` naming a tensor that is missing or of another shape.
    """
    whole = any(name.startswith("backbone.network.") for name in weights)
    target = student if whole else student.backbone.network
    wanted = target.state_dict()
    for name, tensor in wanted.items():
        found = weights.get(name)
        if found is None or found.shape != tensor.shape:
            what = "missing" if found is None else f"of shape {tuple(found.shape)}, not {tuple(tensor.shape)}"
            raise ValueError(f"tensor {name} is {what}; expected timm's tf_{BACKBONE} or a student")
    with torch.no_grad():
        target.load_state_dict({name: weights[name] for name in wanted})
