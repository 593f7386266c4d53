from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from interceptor.cli import app
from interceptor.lenses.half import HALF_SIZE
from interceptor.models.modules import MODULES
from interceptor.training.checkpoints import write_tensors
from interceptor.training.specialists.ablation import PlainHead
from interceptor.training.specialists.trainer import new_head


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs whose forgeries lack detail: the lens of resolution shows it, colours and tokens do not."""
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(2)
    for split, name, count in [*(("train", f"made{i}", 4) for i in range(6)), ("test", "made6", 16)]:
        seen = rng.normal(0, 0.3, (2, count, 2, 3, HALF_SIZE, HALF_SIZE))
        seen[0, :, 1] *= 0.2
        rows = torch.arange(2 * count, dtype=torch.int32).view(count, 2)
        write_tensors(
            folder / split / f"{name}.safetensors",
            {
                "tokens": torch.from_numpy(rng.normal(size=(count, 49, 3072)).repeat(2, 0)).half(),
                "rr.rr.rows": rows,
                "rr.rr.seen": torch.from_numpy(seen[0]).half(),
                "rr.rgb.rows": rows.clone(),
                "rr.rgb.seen": torch.from_numpy(seen[1]).half(),
            },
        )
    return folder


def test_the_lens_wins_where_only_it_shows_anything(data: Path, tmp_path: Path) -> None:
    command = ["ablate", str(data), "--out", str(tmp_path), "--specialists", "rr", "--seeds", "1", "--format", "json"]
    settings = ["steps=10", "pairs=5", "module_steps=1", "module_pairs=2", "ema=0.7", "lr=0.004"]
    settings = [word for setting in settings for word in ("--set", setting)]
    done = CliRunner().invoke(app, [*command, *settings])
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)["ablation"]
    assert row["auc"]["lens"][0] > 0.9
    assert row["lens_less_rgb"][0] > 0.2
    assert row["lens_less_plain"][0] > 0.2
    assert (row["train_pairs"], row["test_pairs"], row["test_media"]) == (24, 16, 1)
    stamp = (tmp_path / "rr-rr.json").stat().st_mtime_ns
    table = CliRunner().invoke(app, [*command[:-2], *settings])
    assert "| rr, rr |" in table.stdout
    assert (tmp_path / "rr-rr.json").stat().st_mtime_ns == stamp  # not done again


def test_pairs_that_were_not_prepared_are_named(data: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["ablate", str(data), "--out", str(tmp_path), "--specialists", "cm"])
    assert done.exit_code == 2
    assert "no pairs of 'cm'" in done.output


@pytest.mark.parametrize(("code", "words"), [("xx", "choose from ll, bg"), ("av", "is heard")])
def test_codes_that_cannot_be_compared_are_refused(data: Path, tmp_path: Path, code: str, words: str) -> None:
    done = CliRunner().invoke(app, ["ablate", str(data), "--out", str(tmp_path), "--specialists", f"rr,{code}"])
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("code", MODULES)
def test_the_plain_head_is_as_large_and_blind_to_the_lens(code: str) -> None:
    head = new_head(code)
    size = sum(p.numel() for p in head.parameters())
    plain = PlainHead(head.spec).eval()
    assert sum(p.numel() for p in plain.parameters()) == pytest.approx(size, rel=0.01)
    tokens = torch.randn(2, 49, 3072)
    one, two = (plain(tokens, tokens.mean(1), torch.randn(2, 3, HALF_SIZE, HALF_SIZE)) for _ in range(2))
    assert torch.equal(one, two)
