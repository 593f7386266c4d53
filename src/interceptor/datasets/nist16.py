"""NIST Nimble Challenge 2016, "NIST16" (Guan et al., WACVW 2019).

    reference/manipulation/NC2016-manipulation-ref.csv    with | between the columns ProbeFileName, ProbeMaskFileName,
    IsTarget (Y = forged) and BaseFileName; paths are relative to the folder that holds `reference`

Masks are inverted: **black** is forged. Pictures with the same base are much alike, and are one group. Rests on the
columns that public loaders of the reference file use, and on CAT-Net's remark that black is tampered. Copies of the set
without the reference file: `pair_folders(img, mask, convention="black")`.
"""

from __future__ import annotations

import csv
from pathlib import Path

from interceptor.datasets.pictures import Picture, need

REFERENCE = Path("reference/manipulation/NC2016-manipulation-ref.csv")


def read_nist16(root: Path) -> list[Picture]:
    """The table. Raises `ValueError` for a missing reference file or column."""
    reference, pictures = root / REFERENCE, []
    try:
        with reference.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file, delimiter="|"):
                forged = row["IsTarget"] == "Y"
                mask = root / row["ProbeMaskFileName"] if forged and row["ProbeMaskFileName"] else None
                group = Path(row["BaseFileName"] or row["ProbeFileName"]).stem
                picture = root / row["ProbeFileName"]
                pictures.append(Picture(picture, mask, int(forged), group, "nist16", convention="black"))
    except FileNotFoundError:
        raise ValueError(f"{reference}: no such file") from None
    except KeyError as error:
        raise ValueError(f"{reference}: no column {error}") from None
    return need(pictures, root)
