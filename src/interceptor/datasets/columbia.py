"""Columbia Uncompressed Image Splicing Detection (Hsu & Chang, ICME 2006).

    4cam_auth/canong3_02_sub_01.tif    4cam_splc/canong3_canonxt_sub_01.tif
    4cam_splc/edgemask/<same name>_edgemask.jpg

Edge masks are coloured JPEGs: red is one camera's part, green the other's, brighter along the seam. Green is taken for
the spliced part, as public loaders do (photoholmes). Which authentic pictures a splice was made from is not told: each
picture is a group of its own.
"""

from __future__ import annotations

from pathlib import Path

from interceptor.datasets.pictures import Picture, by_stem, need, picture_files


def read_columbia(root: Path) -> list[Picture]:
    """The table. Raises `ValueError` where the folders are not there."""
    masks = {
        Path(stem).name.removesuffix("_edgemask"): path
        for stem, path in by_stem(root / "4cam_splc" / "edgemask").items()
    }
    pictures = []
    for label, folder in enumerate(("4cam_auth", "4cam_splc")):
        for path in picture_files(root / folder):
            if path.parent.name != "edgemask":
                mask = masks.get(path.stem) if label else None
                pictures.append(Picture(path, mask, label, path.stem, "columbia", convention="green"))
    return need(pictures, root)
