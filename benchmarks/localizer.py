"""What the installed localizer finds in the pictures that a training run kept out, kind by kind.

    python benchmarks/localizer.py RUN/test [--weights DIR] [--flips 1] [--sheet sheet.png]

The folder is the one that `interceptor train localizer` writes: KIND/authentic, KIND/FORGE and KIND/masks/FORGE.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from interceptor.datasets.masks import joined, read_instances
from interceptor.datasets.pictures import picture_files
from interceptor.detect.localize import Localization, Localizer
from interceptor.media.stills import read_still
from interceptor.metrics.classification import roc_auc
from interceptor.metrics.masks import overlap
from interceptor.report.localization import overlay
from interceptor.runtime.weights import FOLDER

SMALL = 0.02
TILE = 240


def tile(rgb: np.ndarray, truth: np.ndarray, found: Localization) -> np.ndarray:
    """The picture with the truth in green, beside what was found."""
    marked = rgb.copy()
    contours, _ = cv2.findContours(truth.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(marked, contours, -1, (0, 200, 0), max(1, max(rgb.shape) // TILE))
    heat = np.repeat(np.rint(found.probability_map * 255).astype(np.uint8)[..., None], 3, axis=2)
    return np.hstack([cv2.resize(each, (TILE, TILE)) for each in (marked, heat, overlay(rgb, found))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path, default=FOLDER)
    parser.add_argument("--flips", type=int, default=1)
    parser.add_argument("--limit", type=int, help="pictures of each kind and forge, at most")
    parser.add_argument("--kind", action="append", help="this kind only; repeat")
    parser.add_argument("--sheet", type=Path, help="PNG of the first four of each")
    arguments = parser.parse_args()
    localizer = Localizer(arguments.weights, flips=arguments.flips)
    seconds: list[float] = []
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    sheet: list[np.ndarray] = []
    print("kind          forgery     n  F1@.5  F1>=2%  F1<2%  instances F1  AUC   forged  authentic  any region  area")
    for kind in sorted(path for path in arguments.folder.iterdir() if path.is_dir()):
        if arguments.kind and kind.name not in arguments.kind:
            continue
        for folder in sorted(path for path in kind.iterdir() if path.is_dir() and path.name != "masks"):
            f1, of_instances, shares, verdicts, regions, areas = [], [], [], [], [], []
            for number, path in enumerate(picture_files(folder)[: arguments.limit]):
                rgb = read_still(path)
                start = time.perf_counter()
                found = localizer.localize(rgb)
                seconds.append(time.perf_counter() - start)
                truth = np.zeros(rgb.shape[:2], bool)
                if folder.name != "authentic":
                    truth = joined(read_instances(kind / "masks" / folder.name / path.name))
                    f1.append(overlap(truth, found.probability_map >= 0.5).f1)
                    of_instances.append(overlap(truth, found.mask).f1)
                    shares.append(truth.mean())
                scores[kind.name][folder.name].append(found.probability)
                verdicts.append(found.verdict)
                regions.append(bool(found.instances))
                areas.append(found.mask.mean())
                if arguments.sheet and number < 4:
                    sheet.append(tile(rgb, truth, found))
            large = np.array(shares) >= SMALL
            authentic = scores[kind.name]["authentic"]
            here = scores[kind.name][folder.name]
            auc = roc_auc([0] * len(authentic) + [1] * len(here), authentic + here) if f1 and authentic else np.nan
            mean = [np.mean(x) if len(x) else np.nan for x in (f1, np.array(f1)[large], np.array(f1)[~large])]
            print(
                f"{kind.name:13} {folder.name:10} {len(here):3}  {mean[0]:5.2f}  {mean[1]:5.2f}  {mean[2]:6.2f}  "
                f"{np.mean(of_instances) if of_instances else np.nan:10.2f}  {auc:6.2f}  "
                f"{verdicts.count('forged') / len(verdicts):6.2f}  {verdicts.count('authentic') / len(verdicts):8.2f}  "
                f"{np.mean(regions):9.2f}  {np.mean(areas):8.4f}",
                flush=True,
            )
    print(f"{np.median(seconds):.2f} s a picture (median)")
    if arguments.sheet:
        sheet += [np.zeros_like(sheet[0])] * (-len(sheet) % 2)
        rows = [np.hstack(sheet[i : i + 2]) for i in range(0, len(sheet), 2)]
        cv2.imwrite(str(arguments.sheet), np.vstack(rows)[..., ::-1])


if __name__ == "__main__":
    main()
