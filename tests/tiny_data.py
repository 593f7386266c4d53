"""A tiny, valid folder of crops, made of smooth random pictures: forged ones are blended with a flat patch."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from test_self_blend import picture


def write_crops(folder: Path, count: int = 12, *, authentic_only: bool = False) -> Path:
    """`count` crops of each class, a third of them for validation; returns the folder."""
    (folder / "crops").mkdir(parents=True)
    rows = []
    for i in range(count):
        for label in (0,) if authentic_only else (0, 1):
            image = picture(i).copy()
            if label:
                image[60:160, 60:160] = image[60:160, 60:160] // 2 + 60
            name = f"crops/{i}_{label}.png"
            Image.fromarray(image).save(folder / name)
            split = "val" if i % 3 == 0 else "train"
            rows.append({"path": name, "label": label, "split": split, "original": f"o{i}", "source": f"s{i % 2}"})
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def random_base(seed: int = 0) -> dict[str, np.ndarray]:
    """A foundation of the true shape with small random weights, as `base_from_timm` gives it."""
    import timm
    import torch

    from interceptor.models.foundation import ARCHITECTURE, base_from_timm

    torch.manual_seed(seed)
    return base_from_timm(timm.create_model(ARCHITECTURE, pretrained=False, num_classes=0).state_dict())
