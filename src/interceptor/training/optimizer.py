"""AdamW as all runs use it."""

from __future__ import annotations

import torch
from torch import nn


def adamw(
    network: nn.Module, lr: float, weight_decay: float, fused: bool | None = None
) -> tuple[torch.optim.AdamW, list[str]]:
    """AdamW on what `network` learns, with weight decay on matrices and kernels alone, not on norms and biases; and the
    parameters' names in its order, for checkpoints.
    """
    learned = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    matrices = [(name, p) for name, p in learned if p.ndim >= 2]
    others = [(name, p) for name, p in learned if p.ndim < 2]
    groups = [
        {"params": [p for _, p in matrices], "weight_decay": weight_decay},
        {"params": [p for _, p in others], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, fused=fused), [name for name, _ in matrices + others]
