"""A seventh specialist, as `docs/seventh.md` shows it: its files and rows in a copy of the package, and commands."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from PIL import Image

import interceptor
from face_maker import HEIGHT, WIDTH
from interceptor.datasets.splits import split_of
from interceptor.media.clips import FaceClip
from interceptor.media.crops import CROP_SIZE, TEMPLATE
from portraits import background, other_person, paste, placement
from test_self_blend import picture
from tiny_data import write_crops

PAGE = (Path(__file__).parents[1] / "docs" / "seventh.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"`(src/interceptor/\S+\.py)`:\n\n```python\n(.*?)```", PAGE, re.DOTALL))
ROWS = re.findall(r"^\| `(src/interceptor/\S+\.py)` \| `(\S+)` \| `(from [^`]+)` \|$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package, to which is done what the page says."""
    folder = tmp_path_factory.mktemp("seventh")
    source = Path(interceptor.__file__).parent
    shutil.copytree(source, folder / "src" / "interceptor", ignore=shutil.ignore_patterns("__pycache__"))
    assert len(FILES) == len(ROWS) == PAGE.count("```python") == 3
    for name, text in FILES.items():
        assert not (folder / name).exists()
        (folder / name).write_text(text, encoding="utf-8")
    for name, row, line in ROWS:
        first = "from __future__ import annotations\n"
        table = (folder / name).read_text(encoding="utf-8").replace(first, f"{first}\n{line}\n")
        table, found = re.subn(r"^(_ROWS = \(\n.*?)^\)$", rf"\1    {row},\n)", table, flags=re.DOTALL | re.MULTILINE)
        assert found == 1
        (folder / name).write_text(table, encoding="utf-8")
    return folder


def run(root: Path, *arguments: str | Path, code: int | None = 0) -> str:
    """Standard output of a command of the copied package."""
    done = subprocess.run(
        [sys.executable, "-m", "interceptor", *map(str, arguments)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code or code is None, done.stdout + done.stderr
    return done.stdout


def face(number: int) -> np.ndarray:
    """uint8[HEIGHT, WIDTH, 3] RGB: one of two people, of some size, place, turn and light."""
    rng = np.random.default_rng(number)
    where = placement((rng.uniform(95, 280), 112), rng.uniform(100, 120), rng.uniform(-12, 12))
    scene = paste(background(HEIGHT, WIDTH), where, other_person() if number % 2 else None)
    return (scene * rng.uniform(0.7, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def faces(root: Path) -> Path:
    """A folder of pictures: five of the split `train`, two of `val`."""
    folder = root / "faces"
    folder.mkdir()
    wanted = {"train": 5, "val": 2, "test": 0}
    number = 0
    while any(wanted.values()):
        path = folder / f"face{number}.png"
        if wanted[split_of(path)]:
            wanted[split_of(path)] -= 1
            Image.fromarray(face(number)).save(path)
        number += 1
    return folder


def load(root: Path, name: str) -> ModuleType:
    """One of the page's files, beside the package as it is."""
    spec = importlib.util.spec_from_file_location(f"seventh_{name}", root / "src/interceptor" / name / "fringes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_its_forge_keeps_the_guarantee_and_lights_its_lens(root: Path) -> None:
    look, forge = load(root, "lenses").LENS.look, load(root, "forges").FAMILY.forge
    grey = np.random.default_rng(0).integers(-40, 40, (2, CROP_SIZE, CROP_SIZE, 1))  # detail without colour
    crops = np.clip(np.stack([picture(i) for i in range(2)]) + grey, 0, 255).astype(np.uint8)
    clip = FaceClip(crops, np.stack([TEMPLATE * CROP_SIZE] * 2), np.zeros(2))
    for seed in range(4):
        forged = forge(clip, np.random.default_rng(seed))
        assert np.array_equal(forged.real.crops[~forged.mask], forged.fake.crops[~forged.mask])
        real, fake = (np.abs(look(side)[:, :2]).mean(1) for side in (forged.real, forged.fake))
        assert np.abs(fake - real)[forged.mask].mean() > 0.03
        reached = np.stack([cv2.dilate(m.astype(np.uint8), np.ones((33, 33))) for m in forged.mask])  # by the blur
        assert not (fake - real)[reached == 0].any()


def test_its_lens_is_shown(root: Path, faces: Path) -> None:
    out = run(root, "lens", next(faces.iterdir()), "--out", root / "sheets")
    shown = {path.stem.rpartition("_")[2] for path in (root / "sheets").iterdir()}
    assert {"ll", "ca"} <= shown
    assert "_ca.png" in out


def test_its_forge_is_audited(root: Path, tmp_path: Path) -> None:
    crops = write_crops(tmp_path / "crops", 20, authentic_only=True)
    arguments = ["audit", "forge", "ca", "--data", crops, "--limit", "20", "--format", "json"]
    found = json.loads(run(root, *arguments, code=None))  # whether twenty pairs happen to pass is of no matter here
    assert found["forge"] == "ca"
    assert found["identical"] == found["pairs"] == 20


def test_it_is_prepared_trained_exported_and_scanned(root: Path, faces: Path) -> None:
    from interceptor.training.specialists.trainer import read_pairs

    weights = root / "src" / "interceptor" / "weights"
    data, base = root / "data", weights / "foundation.safetensors"
    run(root, *f"prepare specialists --families ca --for-lens 1 --base {base} --authentic {faces} --out {data}".split())
    pairs = read_pairs(data, "train", "ca", "ca")
    assert len(pairs.rows) == 10
    assert pairs.for_lens.sum() == 5
    assert (pairs.seen[:, 0] != pairs.seen[:, 1]).flatten(1).any(1).all()
    assert len(read_pairs(data, "val", "ca", "ca").rows) == 2

    settings = "--set steps=4 --set pairs=4 --set module_steps=2 --set module_pairs=2"
    run(root, *f"train specialist ca --data {data} --out {root / 'ca'} {settings}".split())
    run(root, *f"export specialist ca --data {data} --run {root / 'ca'} --out {weights}".split())
    scanned = json.loads(run(root, "scan", next(faces.iterdir()), "--frames", "1", "--format", "json"))
    said = scanned["specialists"]["ca"]
    assert 0 < said["probability"] < 1
    assert said["weight"] == 0
    assert "; not counted: " in said["reason"]
