"""The one inference runtime: OpenVINO on the CPU, behind a callable.

Measured against ONNX Runtime by `benchmarks/runtime.py`; the table is in `docs/runtime.md`. On processors with
bfloat16 arithmetic (AVX-512 BF16, AMX) networks run in bfloat16, elsewhere in float32: the choice is asked of the
runtime, never guessed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import openvino as ov
from openvino.frontend import FrontEndManager

from interceptor.runtime.weights import WeightError

_NO_MEMORY = ("bad_alloc", "can't alloc", "could not create a memory")
"""What the runtime's errors say where memory ran out."""

DYNAMIC_QUANTIZATION_GROUP = 64
"""Activations of layers with 8-bit weights are quantised in groups of this many channels at run time."""


def cpu_count() -> int:
    """The processors this process may use (its affinity, not the machine's count)."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


@cache
def _core() -> ov.Core:
    return ov.Core()


def precision() -> str:
    """`"bf16"` where this processor computes in bfloat16, else `"f32"`."""
    return "bf16" if "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


@cache
def _onnx() -> Any:
    return FrontEndManager().load_by_framework("onnx")


def brief(error: Exception) -> str:
    """The last line of the runtime's message: those before it say where in its source the error arose."""
    return str(error).strip().rpartition("\n")[2]


class Network:
    """A compiled ONNX file: arrays in, arrays out.

    Input shapes that the file leaves open stay open; `shape` fixes the first input instead, which compiles to faster
    code. `outputs` names the ones to compute, in their order (all by default). `quantized=True` lets layers whose
    weights are 8-bit integers also multiply in 8 bits (scales found per group at run time).

    Raises `FileNotFoundError` if there is no such file, `WeightError` (naming the file) if it is not a valid network,
    and `MemoryError` where there is no room for it. The runtime refuses a file whose external weights are a link out of
    its folder, too.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        shape: tuple[int, ...] | None = None,
        outputs: Sequence[str] | None = None,
        threads: int | None = None,
        precision_hint: str | None = None,
        quantized: bool = True,
    ) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"{self.path}: no such network file; is the package installed completely?")
        config: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads or cpu_count(),
            "INFERENCE_PRECISION_HINT": precision_hint or precision(),
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": DYNAMIC_QUANTIZATION_GROUP if quantized else 0,
        }
        if not _onnx().supported(str(self.path)):  # it would be tried as every other format, each telling its woes
            raise WeightError(f"{self.path}: is no ONNX network")
        try:
            model = _core().read_model(self.path)
            if outputs is not None:
                model = ov.Model([model.output(name) for name in outputs], model.get_parameters())
            if shape is not None:
                model.reshape({model.input(0): list(shape)})
            self._compiled = _core().compile_model(model, "CPU", config)
            self._request = self._compiled.create_infer_request()
        except RuntimeError as error:
            _raise_if_no_memory(error)
            raise WeightError(f"{self.path}: the inference runtime cannot load this network: {brief(error)}") from error
        self._lock = Lock()
        self.outputs = [output.get_any_name() for output in self._compiled.outputs]

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Run once; returns one new array for each of `outputs`. Raises `MemoryError`.

        Threads may share a network: they take turns, each run using all `threads`.
        """
        with self._lock:
            try:
                self._request.infer(list(inputs), share_inputs=True)
            except RuntimeError as error:
                _raise_if_no_memory(error)
                raise
            return [np.array(self._request.get_output_tensor(i).data) for i in range(len(self.outputs))]


def _raise_if_no_memory(error: RuntimeError) -> None:
    if any(words in str(error) for words in _NO_MEMORY):
        raise MemoryError(str(error)) from error
