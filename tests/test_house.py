"""The shape of the package: floors, a core without PyTorch, no file too long to read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
EXTRAS = {"torch", "torchvision", "timm", "onnx", "onnxruntime", "safetensors", "sklearn", "skimage", "scipy"}


def test_lower_floors_never_import_upper_ones() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_scanning_imports_none_of_the_extras() -> None:
    code = (
        "import sys, interceptor, interceptor.cli, interceptor.detect.scan, interceptor.report.html, "
        "interceptor.evaluation.crops, interceptor.evaluation.videos, interceptor.evaluation.calibrate, "
        "interceptor.evaluation.masks, interceptor.detect.localize, interceptor.report.localization, "
        f"interceptor.datasets.faces; print(sorted({EXTRAS!r} & {{name.split('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_a_file_is_read_in_one_sitting(source: Path) -> None:
    assert len(source.read_text(encoding="utf-8").splitlines()) <= 400
