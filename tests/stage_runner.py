"""Stages of training in processes of their own, with a backbone small enough for tests."""

from __future__ import annotations

import gc
import os
import signal
import socket
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from interceptor.models import backbones
from interceptor.models.backbones import Backbone, BackboneSpec
from interceptor.models.branches import GRID
from interceptor.training.stages.recipe import load_recipe
from interceptor.training.stages.stage import Job, train_stage

SMALL = (
    "backbone=efficientnet_lite0",
    "fusion=tokens",
    "lens_size=112",
    "workers=0",
    "batch=2",
    "lr=1e-3",
    "save_every=2",
)


class Tiny(Backbone):
    """Two convolutions with a batch norm between, in place of a large network."""

    width = 8

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(3, 8, 16, 16), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        places = nn.functional.adaptive_avg_pool2d(self.network(images.float() / 255), GRID)
        tokens = places.flatten(2).transpose(1, 2)
        return tokens, tokens.mean(1)


@contextmanager
def tiny_backbone() -> Iterator[None]:
    """Within it, efficientnet_lite0 is `Tiny`, in processes forked from here as well."""
    with pytest.MonkeyPatch.context() as patch:
        row = BackboneSpec("efficientnet_lite0", Tiny.width, "nothing", Tiny)
        patch.setitem(backbones.BACKBONES, "efficientnet_lite0", row)
        yield


def job(data: Path, out: Path, *settings: str, code: str = "ll", stage: str = "dfdc", **others: Any) -> Job:
    recipe = load_recipe(stage, [*SMALL, *settings])
    return Job(code, stage, recipe, data, out, **{"init": "none", "device": "cpu", **others})


def run(
    task: Job, *, kill_after: int | None = None, remarks: list[str] | None = None, until: float | None = None
) -> dict[str, Any]:
    """Train `task` here; with `kill_after`, the process is killed right after so many steps of this call."""
    steps = 0

    def report(stage: str, done: int, total: int, note: str) -> None:
        nonlocal steps
        steps += stage.startswith(("chunk", "all"))
        if steps == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    return train_stage(task, report, (remarks if remarks is not None else []).append, until=until)


def in_child(work: Callable[[], Any], **environment: str) -> int:
    """Fork a process that does `work` on one thread; its number."""
    child = os.fork()
    if child:
        return child
    status = 1
    gc.freeze()  # what the parent left to collect may wait, when it goes, for threads that only the parent has
    try:
        os.environ.update(environment)
        torch.set_num_threads(1)
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def waited(child: int) -> int:
    """Exit status of a child, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def two_processes(work: Callable[[], Any]) -> list[int]:
    """`work` in two processes that find each other by gloo; their exit states."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "NODE_RANK": "0", "WORLD_SIZE": "2"}
    children = [in_child(work, LOCAL_RANK=str(rank), **common) for rank in (0, 1)]
    return [waited(child) for child in children]
