"""`interceptor prepare crops DIR OUT`: face crops that somebody has cut already, into shards as they are.

Such samples have the crop alone: no context, no native pixels, no neighbours, no sound, so that specialists whose lens
needs those cannot use them. JPEG files go in byte for byte: another compression would add its own traces.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

from PIL import Image

from interceptor.datasets.check import problems
from interceptor.datasets.crops import read_crop
from interceptor.datasets.manifest import write_whole
from interceptor.datasets.packing import Packed, encode_jpeg
from interceptor.datasets.prepare import PREPARED, mixed, prefix_of
from interceptor.datasets.samples import row_of
from interceptor.datasets.shards import MAX_BYTES, ShardWriter
from interceptor.datasets.videos import DatasetError, Table, Video
from interceptor.media.crops import CROP_SIZE, TEMPLATE

GIVEN = "as given"
"""What these samples say of how their crops were cut: nobody here knows."""


def adopt(
    table: Table,
    out: Path,
    *,
    max_bytes: int = MAX_BYTES,
    advance: Callable[[int, int, str], None] = lambda done, total, note: None,
) -> dict[str, Any]:
    """Write all crops of a table under `out`, a new folder. Returns the summary.

    Crops of another size than 224 pixels are resized and encoded again; the summary counts them. Raises `DatasetError`
    where the table is of no use or `out` is taken, and `OSError`, naming the file, for a crop that cannot be read.
    """
    if found := list(problems(table)):
        raise DatasetError(f"{table.root}: " + "; ".join(found))
    if out.exists() and any(out.iterdir()):
        raise DatasetError(f"{out}: holds something already; choose a new folder")
    out.mkdir(parents=True, exist_ok=True)
    resized, done = 0, 0
    for prefix, videos in groupby(mixed(table.videos), prefix_of):
        with ShardWriter(out, prefix, max_bytes) as writer:
            for video in videos:
                packed, changed = _packed(video)
                writer.put(packed)
                resized += changed
                done += 1
                advance(done, len(table.videos), f"{resized} resized")
    summary = {
        "samples": done,
        "resized": resized,
        "by_split_and_label": dict(sorted(Counter(f"{v.split} {v.label}" for v in table.videos).items())),
    }
    facts = {"dataset": table.dataset, "crop": GIVEN, "split_rule": table.split_rule, "summary": summary}
    write_whole(out / PREPARED, json.dumps(facts, indent=2) + "\n")
    return summary


def _packed(video: Video) -> tuple[Packed, bool]:
    row = row_of(video)
    facts = {"key": row.key, "crop": GIVEN, "time": 0.0, "landmarks": (TEMPLATE * CROP_SIZE).tolist()}
    rgb, resized = read_crop(video.path)
    with Image.open(video.path) as opened:
        as_it_is = opened.format == "JPEG" and opened.mode == "RGB" and not resized
    data = video.path.read_bytes() if as_it_is else encode_jpeg(rgb)
    return Packed(row, {"json": json.dumps(facts).encode(), "crop.jpg": data}, {}), resized
