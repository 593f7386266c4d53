"""CoMoFoD, copy-move forgery detection (Tralic et al., ELMAR 2013).

    001_O.png (original)    001_F.png (forged)    001_B.png (binary mask)    001_M.png (coloured mask)
    001_O_JC1.jpg, 001_F_JC1.jpg, ...: post-processed; the mask is that of their number

White is forged in the binary mask. The number is the group. Rests on the set's own page (vcl.fer.hr/comofod).
"""

from __future__ import annotations

import re
from pathlib import Path

from interceptor.datasets.pictures import Picture, need, picture_files

_NAME = re.compile(r"(\d+)_([OFBM])(_\w+)?")


def read_comofod(root: Path) -> list[Picture]:
    """The table. Raises `ValueError` where there is nothing that is named so."""
    named = [(path, known) for path in picture_files(root) if (known := _NAME.fullmatch(path.stem))]
    masks = {known[1]: path for path, known in named if known[2] == "B"}
    return need(
        [
            Picture(
                path,
                masks.get(known[1]) if known[2] == "F" else None,
                int(known[2] == "F"),
                known[1],
                "comofod",
                convention="white",
            )
            for path, known in named
            if known[2] in "OF"
        ],
        root,
    )
