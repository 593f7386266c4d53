"""What a training sample costs on a CPU: reading it with its lens, and a step of the network, for each backbone.

    python benchmarks/training_speed.py PREPARED [--code ll] [--lens-size 112] [--batch 8] [--steps 3]

Processor time of one thread, not the clock's, so that other programs count little; medians over the steps after a first
one. The loader keeps the network busy where reading, shared out over the workers, costs less than the step.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from interceptor.datasets.shards import Shards
from interceptor.models.backbones import BACKBONES
from interceptor.training.stages.balance import Draw
from interceptor.training.stages.data import Batch, Samples
from interceptor.training.stages.losses import loss
from interceptor.training.stages.recipe import load_recipe
from interceptor.training.stages.starts import build


def cost(work: Callable[[int], object], steps: int, batch: int) -> float:
    """Processor milliseconds a sample; `work` is given the number of the step."""
    times = []
    for step in range(steps + 1):
        began = time.process_time()
        work(step)
        times.append(time.process_time() - began)
    return float(np.median(times[1:])) / batch * 1000


def measured(name: str, shards: Shards, code: str, lens_size: int, size: int, steps: int) -> str:
    """A row of the table."""
    settings = [f"backbone={name}", "fusion=tokens", f"lens_size={lens_size}", "precision=bf16"]
    recipe = load_recipe("dfdc", settings)
    start = build(code, recipe, "hub" if recipe.frozen else "none", Path(), "", remark=lambda _: None)
    samples = Samples(shards, code, recipe, range(len(shards)), training=True)
    trained = start.trained.train().to(memory_format=torch.channels_last)
    adam = torch.optim.AdamW(trained.parameters(), lr=1e-4)
    read: list[Batch] = []
    reading = cost(lambda step: read.append(samples[[Draw(step * size + i, i) for i in range(size)]]), steps, size)
    seen = [batch.crops for batch in read]
    once = "none"
    if recipe.frozen:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            once = f"{cost(lambda step: start.model.backbone(read[step].crops), steps, size):.0f}"
            seen = [start.model.backbone(batch.crops)[0].float() for batch in read]

    def step(number: int) -> None:
        lens = read[number].lens.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            logits = trained(seen[number], lens)
        loss(recipe, logits, read[number].labels, torch.ones(2)).backward()
        adam.step()
        adam.zero_grad()

    network = cost(step, steps, size)
    return f"| {name} | {reading:.1f} | {once} | {network:.0f} | {1000 / network:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--code", default="ll")
    parser.add_argument("--lens-size", type=int, default=112)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    shards = Shards(arguments.data)
    print("| backbone | reading and lens, ms | tokens, once, ms | step, ms | samples/s of a core |")
    print("|---|---|---|---|---|")
    for name in BACKBONES:
        print(measured(name, shards, arguments.code, arguments.lens_size, arguments.batch, arguments.steps), flush=True)


if __name__ == "__main__":
    main()
