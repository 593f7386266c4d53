"""The loop: resume bit by bit, two processes as one, chunks, time limits, damage."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from interceptor.datasets.lock import FolderBusyError
from interceptor.models import specialist
from interceptor.training.checkpoints import CheckpointError
from interceptor.training.stages import snapshots
from interceptor.training.stages.data import DataError
from interceptor.training.stages.starts import build
from lock_holder import holder
from shard_maker import write_shards
from stage_runner import Tiny, in_child, job, run, tiny_backbone, two_processes, waited

CHUNKS = ("chunks=[1,0]", "epochs=2", "preprocessing=[]", "batch=2")
TIMES = ("seconds", "waited_for_data")


@pytest.fixture(scope="module", autouse=True)
def tiny() -> Iterator[None]:
    with tiny_backbone():
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two chunks of six samples: three steps in an epoch, twelve in all."""
    return write_shards(tmp_path_factory.mktemp("data"), 3, chunks=2, talk=False)


def trained(data: Path, out: Path, *settings: str, **others: Any) -> int:
    return waited(in_child(lambda: run(job(data, out, *CHUNKS, *settings), **others)))


def outcome(out: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], list[dict[str, Any]]]:
    """Last weights and optimizer, and the history without the times taken."""
    weights, optimizer, facts = snapshots.Snapshots(out / "dfdc" / "checkpoints", False, print).last()
    history = [{k: v for k, v in entry.items() if k not in TIMES} for entry in facts["history"]]
    return weights, optimizer, history


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


@pytest.fixture(scope="module")
def unbroken(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken")
    assert trained(data, out, "ema=0.9") == 0
    return out


def test_a_finished_stage_leaves_what_it_should(unbroken: Path) -> None:
    assert {f.name for f in unbroken.glob("*.safetensors")} == {
        "stage4_final.safetensors",
        "ll_model_student.safetensors",
    }
    card = json.loads((unbroken / "dfdc" / "run.json").read_text())
    assert card["finished"]
    assert card["done"] == card["steps"] == 12
    assert [(e["chunk"], e["epoch"], e["step"]) for e in card["history"]] == [
        ("chunk 1", 1, 3),
        ("chunk 1", 2, 6),
        ("chunk 0", 1, 9),
        ("chunk 0", 2, 12),
    ]
    assert len(list((unbroken / "dfdc" / "checkpoints").glob("step-*.json"))) == 3
    assert list((unbroken / "dfdc" / "events").glob("events*"))
    final, facts = snapshots.read_weights(unbroken / "stage4_final.safetensors")
    best, _ = snapshots.read_weights(unbroken / "dfdc" / "best.safetensors")
    assert all(torch.equal(final[name], best[name]) for name in final)
    assert facts["measured"]["auc"] == max(e["auc"] for e in card["history"])
    assert sum(map(sum, facts["confusion"])) == facts["measured"]["n"] == 2


@pytest.mark.parametrize("kills", [(1,), (4,), (3, 2), (8, 1, 2)], ids=str)
def test_a_killed_run_goes_on_to_the_same_bits(
    data: Path, unbroken: Path, tmp_path: Path, kills: tuple[int, ...]
) -> None:
    """Killed before the first checkpoint, between two, at an epoch's end, inside the second chunk, several times."""
    for steps in kills:
        assert trained(data, tmp_path, "ema=0.9", kill_after=steps) == -signal.SIGKILL
    assert trained(data, tmp_path, "ema=0.9") == 0
    found, expected = outcome(tmp_path), outcome(unbroken)
    assert_same(found[0], expected[0])
    assert_same(found[1], expected[1])
    assert found[2] == expected[2]
    finals = [snapshots.read_weights(out / "stage4_final.safetensors")[0] for out in (tmp_path, unbroken)]
    assert_same(*finals)


def test_a_checkpoint_cut_short_is_found_out_and_the_one_before_it_used(
    data: Path, unbroken: Path, tmp_path: Path
) -> None:
    assert trained(data, tmp_path, "ema=0.9", kill_after=8) == -signal.SIGKILL
    folder = tmp_path / "dfdc" / "checkpoints"
    newest = sorted(folder.glob("step-*.json"))[-1]
    cut = newest.with_suffix(".safetensors")
    cut.write_bytes(cut.read_bytes()[:-100])
    said: list[str] = []
    assert snapshots.Snapshots(folder, False, said.append).last()[2]["place"]["done"] == 4
    assert "damaged" in said[0]
    assert "going on from step-00000004" in said[0]
    assert trained(data, tmp_path, "ema=0.9") == 0
    assert_same(outcome(tmp_path)[0], outcome(unbroken)[0])


def test_time_that_is_up_stops_a_run_with_all_saved(data: Path, unbroken: Path, tmp_path: Path) -> None:
    assert trained(data, tmp_path, "ema=0.9", until=0.0) == 0
    card = json.loads((tmp_path / "dfdc" / "run.json").read_text())
    assert (card["finished"], card["done"]) == (False, 1)
    assert not (tmp_path / "stage4_final.safetensors").exists()
    assert trained(data, tmp_path, "ema=0.9", until=time.monotonic() + 3600) == 0
    assert outcome(tmp_path)[2] == outcome(unbroken)[2]


def test_two_processes_train_to_the_weights_of_one_with_twice_the_batch(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batch norms keep their statistics here: gloo has no synchronised ones, which GPUs use. No dropout: its draws
    differ between processes.
    """
    monkeypatch.setattr(specialist, "ATTENTION_DROPOUT", 0.0)
    plain = (*CHUNKS, "norm_statistics=frozen", "dropout=[0,0,0]")

    def train(out: Path, batch: int, devices: int) -> None:
        run(job(data, out, *plain, f"batch={batch}", devices=devices))

    assert waited(in_child(lambda: train(tmp_path / "one", 4, 1))) == 0
    assert two_processes(lambda: train(tmp_path / "two", 2, 2)) == [0, 0]
    one, two = (outcome(tmp_path / name) for name in ("one", "two"))
    assert len(one[2]) == 4
    for name in one[0]:  # four steps of up to 1e-3: rounding, which Adam enlarges where gradients are next to nothing
        torch.testing.assert_close(two[0][name], one[0][name], rtol=1e-3, atol=5e-5)
    assert one[2][0]["train_loss"] == pytest.approx(two[2][0]["train_loss"], rel=1e-5)


def test_accumulated_batches_are_one_batch(data: Path, tmp_path: Path) -> None:
    plain = ("norm_statistics=frozen", "dropout=[0,0,0]", "epochs=1", "chunks=[0]")
    for name, extra in (("whole", ("batch=4", "accumulate=1")), ("parts", ("batch=2", "accumulate=2"))):
        assert trained(data, tmp_path / name, *plain, *extra) == 0
    for name, tensor in outcome(tmp_path / "whole")[0].items():
        torch.testing.assert_close(outcome(tmp_path / "parts")[0][name], tensor, rtol=1e-4, atol=1e-5)


def test_a_frozen_backbone_is_asked_once_for_each_row_and_stays_as_it_is(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(data, tmp_path / "data")
    asked: list[int] = []
    forward = Tiny.forward

    def counted(self: Tiny, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        asked.append(len(images))
        return forward(self, images)

    monkeypatch.setattr(Tiny, "forward", counted)
    settings = ("freeze_backbone=true", "epochs=1", "chunks=[0]", "preprocessing=['clahe']")
    for name in ("first", "second"):
        run(job(folder, tmp_path / name, *settings))
        assert 0 < sum(asked) <= 8  # six rows of the chunk, two of validation
    (store,) = (folder / "tokens").glob("*.known.npy")
    assert np.load(store).sum() == sum(asked)
    weights = [snapshots.read_weights(tmp_path / name / "stage4_final.safetensors")[0] for name in ("first", "second")]
    assert_same(*weights)
    start = build("ll", job(folder, tmp_path, *settings).recipe, "none", tmp_path, "", remark=lambda _: None)
    for name, tensor in start.model.backbone.state_dict().items():
        assert torch.equal(tensor, weights[0][f"backbone.{name}"])


def test_tokens_belong_to_one_manifest(data: Path, tmp_path: Path) -> None:
    """A folder that was prepared anew has other rows in the same places."""
    folder = shutil.copytree(data, tmp_path / "data")
    lines = (folder / "manifest.csv").read_text().splitlines()
    settings = ("freeze_backbone=true", "epochs=1", "chunks=[0]", "preprocessing=[]")
    for name, order in (("first", lines[1:]), ("second", lines[:0:-1])):
        (folder / "manifest.csv").write_text("\n".join([lines[0], *order]) + "\n")
        run(job(folder, tmp_path / name, *settings))
    assert len(list((folder / "tokens").glob("*.known.npy"))) == 2


def test_tokens_and_features_of_a_fresh_fusion_are_of_one_scale(data: Path, tmp_path: Path) -> None:
    task = job(data, tmp_path, *CHUNKS)
    plain = build("ll", task.recipe, "none", tmp_path, "", remark=lambda _: None).trained.state_dict()
    run(task, until=0.0)  # stops after one step
    found = outcome(tmp_path)[0]
    assert found["head.fusion.mean"].abs().max() > 0
    assert (found["head.fusion.std"] != 1).all()
    ratio = found["head.fusion.features.weight"].std() / plain["head.fusion.features.weight"].std()
    assert ratio > 2, "what the module makes of a lens is small at first"


def test_mistakes_are_found_before_the_first_step(data: Path, tmp_path: Path) -> None:
    def refused(kind: type[Exception], said: str, task: Any) -> None:
        with pytest.raises(kind, match=said):
            run(task)

    refused(DataError, "chunks 7, 5 of the recipe are missing; there are: 0, 1", job(data, tmp_path, "chunks=[0,7,5]"))
    refused(DataError, "what the lens bg looks at", job(data, tmp_path, *CHUNKS, code="bg"))
    refused(DataError, "precision 16 needs a GPU", job(data, tmp_path, *CHUNKS, "precision='16'"))
    if not torch.cuda.is_available():
        refused(DataError, "no GPU", job(data, tmp_path, *CHUNKS, device="cuda"))
    refused(CheckpointError, "train that stage first", job(data, tmp_path, *CHUNKS, init=None))
    one_class = write_shards(tmp_path / "poor", 2, talk=False)
    lines = (one_class / "manifest.csv").read_text().splitlines()
    (one_class / "manifest.csv").write_text(
        "\n".join([lines[0], *(line for line in lines[1:] if ",1,patch,val," not in line)]) + "\n"
    )
    refused(DataError, "split val has no forged sample", job(one_class, tmp_path, "chunks=[]"))
    (data.parent / "empty").mkdir(exist_ok=True)
    refused(ValueError, "no such file", job(data.parent / "empty", tmp_path, *CHUNKS))


def test_a_full_disk_is_told_before_and_while(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match="GB free"):
        snapshots.check_room(tmp_path / "new", 10**18, "it")

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshots, "write_bytes", full)
    with pytest.raises(CheckpointError, match="no room left on the disk; the checkpoints before it are whole"):
        snapshots.write_weights(tmp_path / "a.safetensors", {"a": torch.zeros(1)}, {})


def test_two_runs_do_not_share_a_folder(data: Path, tmp_path: Path) -> None:
    child = holder(tmp_path / "dfdc")
    with pytest.raises(FolderBusyError, match=f"process {child} is writing into it"):
        run(job(data, tmp_path, *CHUNKS))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_another_recipe_is_not_taken_for_the_run_in_the_folder(data: Path, unbroken: Path) -> None:
    with pytest.raises(CheckpointError, match=r"another recipe \(lr\)"):
        run(job(data, unbroken, *CHUNKS, "ema=0.9", "lr=1"))


def test_a_loss_that_is_no_number_ends_the_run(data: Path, tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="lower --set lr"):
        run(job(data, tmp_path, *CHUNKS, "lr=1e30", "clip=0"))


def test_checkpoints_may_be_compressed(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(1000.0)}
    file = snapshots.write_weights(tmp_path / "x.safetensors", tensors, {"n": 1}, compress=True)
    assert file.name == "x.safetensors.gz"
    assert snapshots.find(tmp_path / "x.safetensors") == file
    found, facts = snapshots.read_weights(file)
    assert torch.equal(found["a"], tensors["a"])
    assert facts["n"] == 1
    plain = snapshots.write_weights(tmp_path / "x.safetensors", tensors, {"n": 2})
    assert [f.name for f in tmp_path.glob("*.safetensors*")] == [plain.name]
