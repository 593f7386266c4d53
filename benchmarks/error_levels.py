"""Does the error-level channel change what it is meant to change? Two networks, with it and without, one forgery.

    python benchmarks/error_levels.py DIR --init ENCODER [--steps 120] [--side 96]

Of each authentic picture in DIR a view is saved as a JPEG of quality 75, and a region of it is put back as it was
before: the content is the same everywhere, only the history of compression differs. Both networks see the same batches,
and are measured on pictures of which they saw no other view.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from interceptor.datasets.pictures import picture_files
from interceptor.forges.codecs import jpeg
from interceptor.forges.pictures.regions import region
from interceptor.media.inputs import network_input
from interceptor.media.stills import read_still
from interceptor.metrics.classification import average_precision, roc_auc
from interceptor.models.localizer_full import FullLocalizer
from interceptor.training.checkpoints import read_tensors
from interceptor.training.localizers.augment import as_target
from interceptor.training.localizers.data import FULL
from interceptor.training.localizers.full import train_step
from interceptor.training.localizers.recipes import MEMBERS

BATCH = 4
VIEW = 256
LR = 1e-3

Maker = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]


def maker(files: list[Path], side: int) -> Maker:
    """Draws a forgery: the picture's four channels float32[4, side, side] and the target uint8[side, side]."""

    def make(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        rgb = read_still(files[rng.integers(len(files))])
        top, left = (int(rng.integers(max(n - VIEW, 0) + 1)) for n in rgb.shape[:2])
        rgb = np.ascontiguousarray(rgb[top : top + VIEW, left : left + VIEW])
        mask = region(rgb.shape[:2], rng.uniform(0.03, 0.2) * rgb.shape[0] * rgb.shape[1], rng)
        forged = np.where(mask[..., None], rgb, jpeg(rgb, 75))
        return network_input(forged, side, error_levels=True), as_target(mask.astype(np.uint8), side)

    return make


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="authentic pictures that were never strongly compressed")
    parser.add_argument("--init", type=Path, required=True, help="ImageNet weights of efficientnet_lite0, timm's names")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--side", type=int, default=96)
    arguments = parser.parse_args()
    files = picture_files(arguments.folder)
    unseen = maker(files[::4], arguments.side)
    seen = maker([file for i, file in enumerate(files) if i % 4], arguments.side)
    test = [unseen(np.random.default_rng([2, i])) for i in range(40)]
    print("| channels | member | pixel AUC | pixel AP |\n|---|---|---|---|")
    for name in ("highres_no_ela", "comprehensive"):
        row = replace(MEMBERS[name], draws=())
        channels = 4 if row.error_levels else 3
        torch.manual_seed(0)
        model = FullLocalizer("efficientnet_lite0", channels)
        model.start_from(read_tensors(arguments.init))
        optimizer = torch.optim.AdamW(model.parameters(), LR)
        for step in range(arguments.steps):
            made = [seen(np.random.default_rng([1, step, i])) for i in range(BATCH)]
            pictures, targets = (np.stack(part) for part in zip(*made, strict=True))
            batch = (torch.from_numpy(pictures[:, :channels]), torch.from_numpy(targets))
            train_step(model, optimizer, batch, row, torch.device("cpu"))
        model.eval()
        measures = []
        for picture, target in test:
            with torch.inference_mode():
                logits = model(torch.from_numpy(picture[None, :channels])).numpy().ravel()
            truth = (target == FULL).ravel().astype(int)
            measures.append((roc_auc(truth, logits), average_precision(truth, logits)))
        auc, precision = np.mean(measures, axis=0)
        print(
            f"| {'RGB and error levels' if channels == 4 else 'RGB'} | {name} | {auc:.3f} | {precision:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
