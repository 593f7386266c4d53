"""What folding saves of each full specialist: parameters and bytes before and after.

    python benchmarks/folding.py [--onnx]

Backbone EfficientNet-B4, vector fusion, weights not trained: sizes do not depend on them. Before: the tensors of the
training model, attention and batch norms apart. After: the folded model's. `--onnx` also writes each as the file that
is deployed and gives its size (minutes). Needs the training extra.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from torch import nn

from interceptor.models.backbones import BACKBONES
from interceptor.models.modules import MODULES
from interceptor.models.specialist import SpecialistModel
from interceptor.training.folding import folded
from interceptor.training.specialists.export import write_specialist


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def size(model: nn.Module) -> int:
    """Bytes of all tensors, buffers included."""
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnx", action="store_true")
    options = parser.parse_args()
    columns = ["specialist", "parameters before", "after", "of it head", "MB before", "after"]
    columns += ["MB as ONNX"] if options.onnx else []
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for code, spec in MODULES.items():
        with torch.device("cpu" if options.onnx else "meta"):  # counting needs shapes alone
            model = SpecialistModel(spec, BACKBONES["efficientnet_b4"].build(), "vector").eval()
            small = folded(model)
        cells = [f"{parameters(m) / 1e6:.1f} M" for m in (model, small, small.head)]
        cells += [f"{size(m) / 1e6:.0f}" for m in (model, small)]
        if options.onnx:
            with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
                file = Path(folder) / "full.onnx"
                write_specialist(small, file)
                cells.append(f"{file.stat().st_size / 1e6:.0f}")
        print(f"| {code} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
