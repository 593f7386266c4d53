"""Export of the full localizers: one ONNX file a member, and their common card, calibrated together."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from interceptor.models.localizer_full import FullLocalizer
from interceptor.training import checkpoints
from interceptor.training.export import OPSET
from interceptor.training.localizers.checkpoints import read_checkpoint
from interceptor.training.localizers.full import FullRun, painted
from interceptor.training.localizers.recipes import MEMBERS
from interceptor.training.localizers.trainer import calibrate

LICENCE = (
    "Apache-2.0 for this project's code. The pictures that the networks were trained on, and the weights their "
    "encoders began with, come under their owners' terms: check them before use."
)


class _Deployed(nn.Module):
    """With the axis of channels that its reader expects."""

    def __init__(self, model: FullLocalizer) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        return self.model(image)[:, None]


def write_full(model: FullLocalizer, channels: int, out: Path) -> None:
    """Input `image` float32[n, channels, h, w] (see `media.inputs`), sides divisible by 32; output `logits`
    float32[n, 1, h, w].
    """
    # Traced: padding is then a number, the same for all sides divisible by 32; as a symbol it never ends.
    axes = {0: "n", 2: "rows", 3: "columns"}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the tracing exporter
        file = Path(folder) / "full.onnx"
        torch.onnx.export(
            _Deployed(model).eval(),
            (torch.zeros(1, channels, 128, 128),),
            str(file),
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": axes, "logits": axes},
        )
        checkpoints.write_bytes(out, file.read_bytes())


def export_full(run: FullRun, out: Path) -> list[Path]:
    """Write every trained member of `run` as `localizer_full_NAME.onnx`, and `localizer_full.json`. Returns the files.

    Raises `CheckpointError` where no member is trained.
    """
    found = {name: run.best(name) for name in MEMBERS if run.best(name).is_file()}
    if not found:
        raise checkpoints.CheckpointError(f"{run.out}: no member is trained")
    val, maps, targets = run.val_pictures(), {}, []
    files, channels, trained = [], {}, {}
    for name, path in found.items():
        checkpoint = read_checkpoint(path)
        model = checkpoint.model()
        channels[name] = checkpoint.architecture.channels
        pairs = list(painted(model.to(run.device), val, MEMBERS[name], run.recipe, run.device))
        maps[name], targets = np.stack([logits for logits, _ in pairs]), [target for _, target in pairs]
        files.append(out / f"localizer_full_{name}.onnx")
        write_full(model.cpu(), channels[name], files[-1])
        trained[name] = run.card(name)
    card: dict[str, Any] = {
        "name": "localizer_full",
        "what": "FPN over an ImageNet encoder with an attention gate, a network a member",
        "files": {file.name: checkpoints.sha256(file) for file in files},
        "input": f"float32[n, 3 or 4, {run.recipe.side}, {run.recipe.side}], see media.inputs.network_input",
        "channels": channels,
        **calibrate(val.samples, np.stack(targets), maps),
        "trained": trained,
        "licence": LICENCE,
    }
    checkpoints.write_json(out / "localizer_full.json", card)
    return [*files, out / "localizer_full.json"]
