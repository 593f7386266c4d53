"""Export of a specialist as one ONNX file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from interceptor.models.specialist import SpecialistModel
from interceptor.training import checkpoints

OPSET = 20


class _Deployed(nn.Module):
    """Takes crops as they are cut: uint8[n, 224, 224, 3]."""

    def __init__(self, model: SpecialistModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, crops: Tensor, lens: Tensor) -> Tensor:
        return self.model(crops.permute(0, 3, 1, 2), lens)


def write_specialist(model: SpecialistModel, out: Path, *, lens_size: int = 224) -> None:
    """Write `model` (folded, in evaluation mode) as ONNX.

    Inputs `crops` uint8[n, 224, 224, 3] RGB and `lens` float32[n, 3, lens_size, lens_size]; output `logits`
    float32[n, 2] (authentic, forged).
    """
    example = (torch.zeros(2, 224, 224, 3, dtype=torch.uint8), torch.zeros(2, 3, lens_size, lens_size))
    rows = torch.export.Dim("n", min=1, max=4096)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "specialist.onnx"
        torch.onnx.export(
            _Deployed(model).eval(),
            example,
            file,
            dynamo=True,
            external_data=False,
            verbose=False,
            opset_version=OPSET,
            input_names=["crops", "lens"],
            output_names=["logits"],
            dynamic_shapes=({0: rows}, {0: rows}),
        )
        checkpoints.write_bytes(out, file.read_bytes())
