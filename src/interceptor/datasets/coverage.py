"""COVERAGE, copy-move with similar but genuine objects (Wen et al., ICIP 2016).

    image/1.tif (authentic)    image/1t.tif (forged)    mask/1forged.tif    mask/1copy.tif    mask/1paste.tif

`forged` marks the altered region alone, and is what localisation is scored on; `copy` its source. White is forged. The
number is the group. Rests on the layout in the public loader image-manipulation-datasets, which reports masks of
another size than their picture.
"""

from __future__ import annotations

from pathlib import Path

from interceptor.datasets.pictures import Picture, by_stem, need, picture_files


def read_coverage(root: Path) -> list[Picture]:
    """The table. Raises `ValueError` where the folders are not there."""
    masks, pictures = by_stem(root / "mask"), []
    for path in picture_files(root / "image"):
        number, forged = path.stem.removesuffix("t"), path.stem.endswith("t")
        mask = masks.get(f"{number}forged") if forged else None
        pictures.append(Picture(path, mask, int(forged), number, "coverage", convention="white"))
    return need(pictures, root)
