"""What a stage starts from: checkpoints of others, of this project, of the wrong kind."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from interceptor.datasets.packing import CONVENTION
from interceptor.training.checkpoints import CheckpointError, write_tensors
from interceptor.training.stages import snapshots
from interceptor.training.stages.legacy import match, read_foreign
from interceptor.training.stages.notebook import offer_download
from interceptor.training.stages.recipe import load_recipe
from interceptor.training.stages.starts import Start, build
from stage_runner import SMALL, Tiny, tiny_backbone


@pytest.fixture(autouse=True)
def tiny(request: pytest.FixtureRequest) -> Iterator[None]:
    with nullcontext() if "hub" in request.node.name else tiny_backbone():
        yield


def start(tmp_path: Path, init: str | None, *, stage: str = "celebdf", **others: Any) -> tuple[Start, list[str]]:
    said: list[str] = []
    return build("ll", load_recipe(stage, SMALL), init, tmp_path, CONVENTION, remark=said.append, **others), said


def final(tmp_path: Path, **facts: Any) -> Path:
    """A stage-1 checkpoint of LL, with other `facts` where given."""
    recipe = load_recipe("faceforensics", [*SMALL, "seed=9"])
    own = build("ll", recipe, "none", tmp_path, CONVENTION, remark=lambda _: None)
    known = {"code": "ll", "stage": "faceforensics", "final": "stage1_final", "crop_convention": CONVENTION}
    known |= {"recipe": recipe.model_dump(mode="json"), "start": own.facts, **facts}
    return snapshots.write_weights(tmp_path / "stage1_final.safetensors", own.trained.state_dict(), known)


def test_a_stage_starts_from_the_final_before_it(tmp_path: Path) -> None:
    expected, _ = snapshots.read_weights(final(tmp_path))
    found, said = start(tmp_path, None)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.trained.state_dict().items())
    assert said == [f"stage1_final.safetensors: {len(expected)} tensors matched"]
    assert (found.facts["init"], found.facts["code"], found.facts["what"]) == (
        "stage1_final.safetensors",
        "ll",
        "specialist",
    )


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"code": "bg"}, "another specialist: it is 'bg', this run needs 'll'"),
        ({"final": "stage4_final"}, "another stage: it is 'stage4_final', this run needs 'stage1_final'"),
        ({"crop_convention": "dlib"}, "another crop convention"),
    ],
)
def test_a_stage_refuses_what_is_not_its_own_unless_told(tmp_path: Path, facts: dict[str, str], said: str) -> None:
    final(tmp_path, **facts)
    with pytest.raises(CheckpointError, match=said):
        start(tmp_path, None)
    _, remarks = start(tmp_path, None, anyway=True)
    assert said in remarks[0]
    assert "all the same" in remarks[0]


def test_a_damaged_start_ends_the_run(tmp_path: Path) -> None:
    file = final(tmp_path)
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="cut short or changed"):
        start(tmp_path, None)
    with pytest.raises(CheckpointError, match="no such file"):
        start(tmp_path, str(tmp_path / "nothing.pt"))


def legacy(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    torch.save({"model_state_dict": tensors, "optimizer_state_dict": {"state": {}}, "epoch": 4, "best_acc": 0.93}, path)
    return path


def test_dictionaries_of_others_are_read_with_a_report(tmp_path: Path) -> None:
    fresh, _ = start(tmp_path, "none")
    theirs = {f"module.{name}": tensor + 1 for name, tensor in fresh.trained.state_dict().items()}
    found, said = start(tmp_path, str(legacy(tmp_path / "whole.pt", theirs)))
    for name, tensor in found.trained.state_dict().items():
        assert torch.equal(tensor, theirs[f"module.{name}"])
    assert f"{len(theirs)} tensors matched" in said[0]
    assert (found.facts["epoch"], found.facts["best_acc"]) == (4, 0.93)


def test_a_file_that_fits_in_part_ends_the_run_unless_told(tmp_path: Path) -> None:
    fresh, _ = start(tmp_path, "none")
    theirs = dict(fresh.trained.state_dict())
    name = next(name for name in theirs if name.startswith("head.classifier"))
    theirs["head.extra"] = theirs.pop(name)
    file = str(legacy(tmp_path / "part.pt", theirs))
    with pytest.raises(CheckpointError, match=r"1 missing in the file .* 1 unknown to the network"):
        start(tmp_path, file)
    _, said = start(tmp_path, file, anyway=True)
    assert f"{len(theirs) - 1} tensors matched" in said[0]
    with pytest.raises(CheckpointError, match="nothing in it fits"):
        start(tmp_path, str(legacy(tmp_path / "other.pt", {"conv.weight": torch.zeros(3)})), anyway=True)


def test_a_backbone_alone_is_a_start(tmp_path: Path) -> None:
    weights = Tiny().network.state_dict()
    write_tensors(tmp_path / "backbone.safetensors", weights)
    found, said = start(tmp_path, str(tmp_path / "backbone.safetensors"))
    assert all(torch.equal(found.model.backbone.network.state_dict()[n], t) for n, t in weights.items())
    assert "the backbone alone" in said[0]
    assert found.facts["what"] == "backbone"


def test_code_in_a_pickle_is_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    with (tmp_path / "trap.pt").open("wb") as file:
        pickle.dump({"model_state_dict": Trap()}, file)
    torch.save({"model_state_dict": Trap()}, tmp_path / "trap2.pt")
    for name in ("trap.pt", "trap2.pt"):
        with pytest.raises(CheckpointError, match="read safely"):
            read_foreign(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_shapes_that_differ_are_told_apart_from_names_that_do() -> None:
    state = {"a": torch.zeros(2), "b": torch.zeros(3)}
    found = match({"model.module.a": torch.zeros(2), "b": torch.zeros(4), "c": torch.zeros(1)}, state)
    assert (list(found.tensors), found.reshaped, found.unknown, found.missing) == (["a"], ("b",), ("c",), ())
    assert found.report() == "1 tensors matched; 1 unknown to the network (c); 1 of another shape (b)"


def test_the_hub_out_of_reach_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    def unreachable(*_: Any, pretrained: bool = False, **__: Any) -> None:
        raise ConnectionError("no route")

    real = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda *a, **k: unreachable() if k.get("pretrained") else real(*a, **k))
    with pytest.raises(CheckpointError, match=r"tf_efficientnet_lite0 cannot be had \(ConnectionError\); give a file"):
        start(tmp_path, "hub")


def test_a_notebook_gets_a_link_to_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not offer_download(tmp_path / "a.safetensors")  # no notebook here
    shown: list[str] = []
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    display = SimpleNamespace(FileLink=lambda path: f"link to {path}", display=shown.append)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    assert offer_download(tmp_path / "a.safetensors")
    assert shown == [f"link to {tmp_path / 'a.safetensors'}"]
