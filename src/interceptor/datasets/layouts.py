"""Public sets of forged pictures by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from interceptor.datasets.casia import read_casia
from interceptor.datasets.columbia import read_columbia
from interceptor.datasets.comofod import read_comofod
from interceptor.datasets.coverage import read_coverage
from interceptor.datasets.imd2020 import read_imd2020
from interceptor.datasets.nist16 import read_nist16
from interceptor.datasets.pictures import Picture
from interceptor.datasets.recodai import read_recodai

LAYOUTS: dict[str, Callable[[Path], list[Picture]]] = {
    "casia": read_casia,
    "columbia": read_columbia,
    "comofod": read_comofod,
    "coverage": read_coverage,
    "imd2020": read_imd2020,
    "nist16": read_nist16,
    "recodai": read_recodai,
}


def read_layout(name: str, root: Path) -> list[Picture]:
    """The table of the set `name` below `root`.

    Raises `ValueError` for a name that is none of `LAYOUTS`, and for folders that do not look like that set.
    """
    if name not in LAYOUTS:
        raise ValueError(f"{name!r} is none of {', '.join(LAYOUTS)}")
    if not root.is_dir():
        raise ValueError(f"{root}: no such folder")
    return LAYOUTS[name](root)
