"""Leak audit of the picture forges: is a forged picture recognisable outside its mask?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from interceptor.datasets.pictures import authentic_pictures, by_stem
from interceptor.evaluation.audit import BAND, Pairs, moved_mask
from interceptor.evaluation.traces import picture_traces
from interceptor.forges.pictures import ForgeError, draw_recompression, forge
from interceptor.media.stills import read_still


class Original(NamedTuple):
    """An authentic picture to forge."""

    path: Path
    labels: Path | None = None
    """Its objects, as instance labels."""

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.integer] | None]:
        """uint8[H, W, 3] RGB, and the labels int[H, W]."""
        labels = None if self.labels is None else cv2.imread(str(self.labels), cv2.IMREAD_UNCHANGED)
        return read_still(self.path), labels


def originals(folder: Path, labels: Path | None = None) -> list[Original]:
    """The pictures below a folder, with their labels of the same names below another."""
    objects = by_stem(labels) if labels is not None else {}
    return [Original(picture.path, objects.get(picture.group)) for picture in authentic_pictures(folder)]


def audit_forgeries(
    kind: str,
    pictures: Sequence[Original],
    *,
    draws: int = 1,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Forge each of `pictures` `draws` times by the forge `kind`, and tell forgeries from their originals by the
    pixels outside the mask; ready for JSON.

    `identical` of `pairs` are bit-identical there. `before` and `after` one draw of the common re-compression, the same
    for both of a pair: see `audit.tell_apart`. `refused`: forgeries that no try gave. `passed`: all identical, and both
    AUCs within 0.45 to 0.55. Raises `ValueError` as `audit.tell_apart`, and where nothing could be forged.
    """
    rng = np.random.default_rng(seed)
    before, after = Pairs(), Pairs()
    pairs = identical = refused = 0
    for done, original in enumerate(pictures, start=1):
        rgb, objects = original.read()
        donor, donor_objects = pictures[int(rng.integers(len(pictures)))].read() if kind == "splice" else (None, None)
        for _ in range(draws):
            try:
                made = forge(rgb, rng, kind=kind, objects=objects, donor=donor, donor_objects=donor_objects)
            except ForgeError:
                refused += 1
                continue
            pairs += 1
            outside = ~made.mask
            identical += bool((made.image[outside] == rgb[outside]).all())
            before.add(picture_traces(rgb, outside), picture_traces(made.image, outside), original.path.name)
            step = draw_recompression(rng)
            beyond = ~moved_mask(made.mask, step)
            after.add(picture_traces(step(rgb), beyond), picture_traces(step(made.image), beyond), original.path.name)
        if progress is not None:
            progress(done, len(pictures))
    if not pairs:
        raise ValueError(f"no {kind} works on any of the {len(pictures)} pictures")
    found = {"before": before.tell_apart(seed), "after": after.tell_apart(seed)}
    return {
        "pairs": pairs,
        "identical": identical,
        "refused": refused,
        **found,
        "left_out": {"before": before.left_out, "after": after.left_out},
        "passed": identical == pairs and all(BAND[0] <= part["auc"] <= BAND[1] for part in found.values()),
    }
