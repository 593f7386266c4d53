"""CASIA image tampering sets v1.0 and v2.0 (Dong et al., ChinaSIP 2013), with the masks of Pham et al. (Symmetry 2019).

    Au/Au_ani_00001.jpg    Tp/.../Tp_D_CRN_S_N_cha00063_art00014_11818.tif    *groundtruth*/.../<same name>_gt.png

In v1 the forged names begin with `Sp_` and may lie in `Modified Tp/Tp/CM` and `Sp`. Of the two identifiers in a forged
name the first is the source and the second the target, which is the group; the donor's own picture can be in another
group. White is forged, with grey edges in places. Rests on the README of the public repository casia2groundtruth; some
masks there differ from their picture in size.
"""

from __future__ import annotations

import re
from pathlib import Path

from interceptor.datasets.pictures import Picture, by_stem, need, picture_files

_AUTHENTIC = re.compile(r"Au_([a-z]{3})_(\d+)")
_FORGED = re.compile(r"(?:Tp|Sp)_.*_[a-z]{3}\d+_([a-z]{3}\d+)_\d+")


def read_casia(root: Path) -> list[Picture]:
    """The table of v1 or v2. Raises `ValueError` where there is no folder Au, Tp (or Modified Tp), or groundtruth."""
    masks = {Path(stem).name.removesuffix("_gt"): path for stem, path in by_stem(_folder(root, "groundtruth")).items()}
    pictures = []
    for path in picture_files(_folder(root, "au")):
        known = _AUTHENTIC.match(path.stem)
        pictures.append(Picture(path, None, 0, "".join(known.groups()) if known else path.stem, "casia"))
    for path in picture_files(_folder(root, "tp")):
        known = _FORGED.match(path.stem)
        group = known[1] if known else path.stem
        pictures.append(Picture(path, masks.get(path.stem), 1, group, "casia", convention="white"))
    return need(pictures, root)


def _folder(root: Path, ending: str) -> Path:
    """The folder in `root` whose name ends so, whatever its case."""
    found = [path for path in sorted(root.iterdir()) if path.is_dir() and path.name.lower().endswith(ending)]
    if not found:
        raise ValueError(f"{root}: no folder that ends in {ending!r}; CASIA has Au, Tp and one of masks, Groundtruth")
    return found[0]
