"""The preview of the DeepFake Detection Challenge (Dolhansky et al., 2019), DFDCP: another set than DFDC.

`dfdc_preview_set/dataset.json` by path: `label`, `set`, `target_id`, `swapped_id`, `augmentations`.
"""

from __future__ import annotations

from pathlib import Path

from interceptor.datasets.dfdc import read_entries
from interceptor.datasets.videos import Choice, DatasetError, Table, Video

INDEX = "dataset.json"
SETS = {"train": "", "test": "test"}
"""Validation is taken from train."""
LABELS = {"real": 0, "fake": 1}
AUTHENTIC = "original_videos"
"""Folder of the authentic videos; forged ones lie in that of their method."""


def read_dfdc_preview(root: Path, choice: Choice) -> Table:
    """The official sets, with people kept together in train and val. Raises `DatasetError`."""
    folder = next((place for place in (root, root / "dfdc_preview_set") if (place / INDEX).is_file()), None)
    if folder is None:
        raise DatasetError(f"{root}: {INDEX} is missing, here and in dfdc_preview_set/; unpack the set again")
    table = Table("dfdc_preview", root, [], f"{INDEX}: label fake forged, real authentic")
    if choice.split == "official":
        table.split_rule = f"test: `set` of {INDEX}; the rest by people into train and val"
        table.shares, table.test_overlaps = (0.9, 0.1, 0.0), True
    entries = read_entries(folder / INDEX)
    for name, facts in entries.items():
        path = folder / name
        label, side = facts.get("label"), facts.get("set")
        if label not in LABELS or side not in SETS:
            raise DatasetError(
                f"{folder / INDEX}: {name}: label {label!r}, set {side!r}; expected real or fake, train or test"
            )
        method = name.split("/")[0]
        if (method == AUTHENTIC) != (label == "real"):
            raise DatasetError(f"{folder / INDEX}: calls {name} {label}, against its folder")
        if not path.is_file():
            table.missing.append(name)
            continue
        people = tuple(f"actor {facts[key]}" for key in ("target_id", "swapped_id") if facts.get(key) is not None)
        table.videos.append(
            Video(
                path=path,
                name=path.relative_to(root).as_posix(),
                label=LABELS[label],
                dataset="dfdc_preview",
                method=method if label == "fake" else "",
                people=tuple(dict.fromkeys(people)),
                split=SETS[side] if choice.split == "official" else "",
            )
        )
    known = {(folder / name).resolve() for name in entries}
    table.unlisted = [
        path.relative_to(root).as_posix() for path in sorted(folder.rglob("*.mp4")) if path.resolve() not in known
    ]
    table.parts = {"videos": (len(table.videos), len(entries))}
    return table
