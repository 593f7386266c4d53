"""Networks small enough to write in a test, in the places of those that ship."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from interceptor.detect.screen import ScreenNetwork, Seen
from interceptor.lenses import LENSES

SECONDS = 1.6
"""Long enough for the audio-visual lens, which needs one second of mouth and sound."""
RATES = [0.001, 0.01, 0.05, 0.3]


def write_network(
    path: Path, inputs: dict[str, tuple[int, list[Any]]], score: float = 0.0, slope: float = 0.001
) -> None:
    """ONNX whose `logit` float32[n] is `score` and `slope` times the mean over each of the inputs' items."""
    nodes, constants, total = [], {"score": np.float32(score), "little": np.float32(slope)}, "score"
    for name, (_, shape) in inputs.items():
        constants[f"{name}_axes"] = np.arange(1, len(shape))
        nodes += [
            helper.make_node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", [f"{name}_float", f"{name}_axes"], [f"{name}_mean"], keepdims=0),
            helper.make_node("Mul", [f"{name}_mean", "little"], [f"{name}_part"]),
            helper.make_node("Add", [total, f"{name}_part"], [f"{name}_total"]),
        ]
        total = f"{name}_total"
    nodes.append(helper.make_node("Identity", [total], ["logit"]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["n"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def write_card(folder: Path, name: str, **fields: Any) -> None:
    """The card of `name`.onnx, its probability the sigmoid of the score."""
    digest = hashlib.sha256((folder / f"{name}.onnx").read_bytes()).hexdigest()
    card = {"name": name, "files": {f"{name}.onnx": digest}, "calibration": {"slope": 1.0, "offset": 0.0}}
    card |= {"reads_lens": True}
    (folder / f"{name}.json").write_text(json.dumps(card | fields))


def write_specialists(folder: Path, scores: dict[str, float] | None = None) -> None:
    """All six standard specialists (or those in `scores`), each saying about its score."""
    for code, score in (scores or dict.fromkeys(LENSES, 0.0)).items():
        name = f"specialist_{code}"
        inputs = {"tokens": (TensorProto.FLOAT, ["n", 49, 3072]), "lens": (TensorProto.FLOAT, ["n", 3, 112, 112])}
        write_network(folder / f"{name}.onnx", inputs, score)
        write_card(folder, name)


def thresholds(value: float = 2.0) -> dict[str, Any]:
    """Curves of a card: forged at `value` and authentic at -`value` at a rate of 5 %."""
    return {
        side: {
            "rates": RATES,
            "thresholds": [sign * value * x for x in (3, 2, 1, 0)],
            "smallest_supported_rate": 0.001,
            "side": side,
        }
        for side, sign in (("forged", 1), ("authentic", -1))
    }


def quick_screen() -> Iterator[None]:
    """For tests that do not depend on the screen: it gives 0.3 for every crop, at once."""

    def look(self: ScreenNetwork, crops: np.ndarray) -> Seen:
        n = len(crops)
        return Seen(*(np.full((n, *shape), 0.3, np.float32) for shape in ((), (14, 14), (49, 3072))))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScreenNetwork, "__init__", lambda self, folder: None)
        patch.setattr(ScreenNetwork, "look", look)
        yield


def copied(weights_folder: Path, folder: Path) -> Path:
    """A folder with the same weights and six made-up specialists, which say 1, -1, 2, -2, 0.5 and -0.5."""
    folder.mkdir(exist_ok=True)
    for file in weights_folder.iterdir():
        if file.suffix == ".safetensors":
            (folder / file.name).hardlink_to(file)  # the runtime follows no links out of a folder
        else:
            (folder / file.name).write_bytes(file.read_bytes())
    write_specialists(folder, dict(zip(LENSES, (1.0, -1.0, 2.0, -2.0, 0.5, -0.5), strict=True)))
    return folder


def voice(rate: int = 16_000, seconds: float = SECONDS) -> np.ndarray:
    """float32: a tone that comes and goes four times a second."""
    t = np.arange(int(rate * seconds)) / rate
    return (0.3 * np.sin(2 * np.pi * 200 * t) * (0.5 + 0.5 * np.sin(8 * np.pi * t))).astype(np.float32)
