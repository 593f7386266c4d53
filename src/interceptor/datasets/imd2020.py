"""IMD2020, real-life manipulated images (Novozamsky et al., WACVW 2020).

    1a1ogs/1a1ogs_orig.jpg (authentic)    1a1ogs/c8tf5mq_0.png (forged)    1a1ogs/c8tf5mq_0_mask.png

One folder is one original with its manipulations: the group. White is forged. Rests on the layout in the public loader
image-manipulation-datasets.
"""

from __future__ import annotations

from pathlib import Path

from interceptor.datasets.pictures import Picture, need, picture_files


def read_imd2020(root: Path) -> list[Picture]:
    """The table. Raises `ValueError` where there is nothing."""
    files = picture_files(root)
    masks = {path.with_name(path.stem.removesuffix("_mask")): path for path in files if path.stem.endswith("_mask")}
    pictures = []
    for path in files:
        if path.stem.endswith("_mask"):
            continue
        forged = not path.stem.endswith("_orig")
        mask = masks.get(path.with_suffix("")) if forged else None
        pictures.append(Picture(path, mask, int(forged), path.parent.name, "imd2020", convention="white"))
    return need(pictures, root)
