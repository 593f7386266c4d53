"""A seventh specialist, as `docs/seventh.md` shows it: three small files and a row in each table, and nothing else."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from interceptor.detect.specialists import Specialist
from interceptor.forges.registry import FAMILIES
from interceptor.lenses import LENSES
from interceptor.lenses.half import half
from interceptor.media.clips import FaceClip
from interceptor.media.crops import CROP_SIZE, TEMPLATE
from interceptor.models.branches import MODULES
from interceptor.training.specialists.export import write_head
from interceptor.training.specialists.trainer import new_head
from test_self_blend import picture
from tiny_specialists import write_card

ROOT = Path(__file__).parents[1]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"seventh_{name}", ROOT / "examples" / "seventh" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows."""
    monkeypatch.setitem(LENSES, "ca", load("lens").LENS)
    monkeypatch.setitem(MODULES, "ca", load("module").MODULE)
    monkeypatch.setitem(FAMILIES, "ca", load("forge").FAMILY)


def clip() -> FaceClip:
    rng = np.random.default_rng(0)
    crops = np.stack([picture(i) for i in range(2)])
    grey = rng.integers(-40, 40, (2, CROP_SIZE, CROP_SIZE, 1))  # detail without colour
    return FaceClip(np.clip(crops + grey, 0, 255).astype(np.uint8), np.stack([TEMPLATE * CROP_SIZE] * 2), np.zeros(2))


def test_its_forge_keeps_the_guarantee_and_lights_its_lens() -> None:
    for seed in range(4):
        forged = FAMILIES["ca"].forge(clip(), np.random.default_rng(seed))
        assert np.array_equal(forged.real.crops[~forged.mask], forged.fake.crops[~forged.mask])
        real, fake = (np.abs(LENSES["ca"].look(side)[:, :2]).mean(1) for side in (forged.real, forged.fake))
        assert np.abs(fake - real)[forged.mask].mean() > 0.03
        assert not (fake - real)[~_wide(forged.mask)].any()


def _wide(mask: np.ndarray) -> np.ndarray:
    """The mask and what the lens's blur reaches beyond it."""
    import cv2

    return np.stack([cv2.dilate(m.astype(np.uint8), np.ones((33, 33))) for m in mask]).astype(bool)


def test_it_learns_exports_and_scores(tmp_path: Path) -> None:
    torch.manual_seed(0)
    head = new_head("ca")
    rng = np.random.default_rng(0)
    seen, labels = [], []
    for seed in range(6):
        forged = FAMILIES["ca"].forge(clip(), np.random.default_rng(seed))
        for side, label in ((forged.real, 0), (forged.fake, 1)):
            seen.append(half("ca", LENSES["ca"].look(side)))
            labels += [label] * 2
    lens, truth = torch.from_numpy(np.concatenate(seen)), torch.tensor(labels)
    tokens = torch.from_numpy(rng.normal(size=(len(truth), 49, 3072)).astype(np.float32)) * 0
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3)  # its last layer starts at 0
    losses = []
    for _ in range(8):
        loss = torch.nn.functional.cross_entropy(head.eval()(tokens, tokens[:, 0], lens), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < losses[0]
    write_head(head, tmp_path / "specialist_ca.onnx")
    write_card(tmp_path, "specialist_ca")
    face = clip()
    moments = [FaceClip(face.crops[i : i + 1], face.landmarks[i : i + 1], face.times[i : i + 1]) for i in range(2)]
    look = Specialist("ca", tmp_path).look(moments, np.zeros((2, 49, 3072), np.float32))
    assert np.isfinite(look.log_odds)
    np.testing.assert_array_equal(look.seen, LENSES["ca"].look(face)[look.shown])


def test_the_page_shows_these_files() -> None:
    page = (ROOT / "docs" / "seventh.md").read_text(encoding="utf-8")
    blocks = [block.strip() for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL)]
    for name in ("lens", "module", "forge"):
        assert (ROOT / "examples" / "seventh" / f"{name}.py").read_text(encoding="utf-8").strip() in blocks
