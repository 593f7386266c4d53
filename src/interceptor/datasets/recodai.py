"""Recod.ai/LUC, Scientific Image Forgery Detection (Kaggle, 2025).

    train_images/authentic/ID.png    train_images/forged/ID.png    train_masks/ID.npy
    supplemental_images/ID.png       supplemental_masks/ID.npy     (forged; may be missing)

Masks are `.npy` of shape (N, H, W), 0 and 1: a plane is a source with all its copies. ID is the case: the authentic
twin of a forgery has the same, so both stay together in a split. Checked on three cases of the contest's own files.
"""

from __future__ import annotations

from pathlib import Path

from interceptor.datasets.pictures import Picture, by_stem, need, picture_files


def read_recodai(root: Path) -> list[Picture]:
    """The table. Raises `ValueError` where the folders are not there."""
    pictures = [
        Picture(path, None, 0, path.stem, "recodai") for path in picture_files(root / "train_images" / "authentic")
    ]
    folders = [(root / "train_images" / "forged", root / "train_masks")]
    if (root / "supplemental_images").is_dir():
        folders.append((root / "supplemental_images", root / "supplemental_masks"))
    for images, masks in folders:
        mask_of = by_stem(masks)
        pictures += [Picture(path, mask_of.get(path.stem), 1, path.stem, "recodai") for path in picture_files(images)]
    return need(pictures, root)
