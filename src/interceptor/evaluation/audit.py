"""Leak audit: can a forgery be told where nothing was forged?

A forge is meant to change the face inside its mask and nothing else. Here a small classifier (ridge regression on the
traces of `traces.py`) sees only what should be equal: the pixels outside the mask, or a sound without its lips. If it
tells forged from authentic, a network would learn that shortcut instead of the artefact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import cv2
import numpy as np

from interceptor.datasets.crops import Crop, read_crop
from interceptor.evaluation.traces import picture_traces, sound_traces
from interceptor.forges.blend import Forged, ForgeError
from interceptor.media.clips import FaceClip
from interceptor.media.crops import CROP_SIZE, TEMPLATE
from interceptor.metrics.bootstrap import bootstrap_intervals
from interceptor.metrics.classification import RANK_MEASURES, Floats, roc_auc

Forge = Callable[[FaceClip, np.random.Generator], Forged]
Augment = Callable[[np.random.Generator, int], Callable[[np.ndarray], np.ndarray]]
"""One draw of the common augmentation for pictures of so many pixels a side."""

BAND = (0.45, 0.55)
FOLDS = 5
SHRINKAGE = 0.1
"""Of the ridge regression, against standardised features of variance 1."""
REACH = 8
"""Pixels around the mask that are left out after the augmentation: its filters and codecs carry the change that far."""


def audit_pictures(
    forge: Forge,
    crops: Sequence[Crop],
    augment: Augment,
    *,
    limit: int = 400,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Forge up to `limit` of the authentic crops, and tell the pairs by the pixels outside the mask; ready for JSON.

    `identical` of `pairs` are bit-identical there. `before` the augmentation and `after` one draw of it, the same for
    both of a pair: see `tell_apart`. `passed`: all identical, and both AUCs within 0.45 to 0.55. `left_out`: pairs with
    too little outside the mask. `refused`: faces that the forge could not use, by its reason. Raises
    `ValueError` where fewer than `FOLDS` origins remain.
    """
    rng = np.random.default_rng(seed)
    authentic = [crop for crop in crops if crop.label == 0]
    chosen = [authentic[i] for i in rng.permutation(len(authentic))[:limit]]
    before, after = Pairs(), Pairs()
    identical = 0
    refused: Counter[str] = Counter()
    for done, crop in enumerate(chosen):
        picture = read_crop(crop.path)[0]
        clip = FaceClip(picture[None], (TEMPLATE * CROP_SIZE)[None], np.zeros(1))
        try:
            forged = forge(clip, rng)
        except ForgeError as error:
            refused[str(error)] += 1
            continue
        real, fake, mask = forged.real.crops[0], forged.fake.crops[0], forged.mask[0]
        identical += bool((real[~mask] == fake[~mask]).all())
        before.add(picture_traces(real, ~mask), picture_traces(fake, ~mask), crop.origin)
        step = augment(rng, CROP_SIZE)
        beyond = ~moved_mask(mask, step)
        after.add(picture_traces(step(real), beyond), picture_traces(step(fake), beyond), crop.origin)
        if progress is not None:
            progress(done + 1, len(chosen))
    found = {"before": before.tell_apart(seed), "after": after.tell_apart(seed)}
    pairs = len(chosen) - refused.total()
    return {
        "pairs": pairs,
        "identical": identical,
        "refused": dict(refused),
        **found,
        "left_out": {name: pairs.left_out for name, pairs in (("before", before), ("after", after))},
        "passed": identical == pairs and all(BAND[0] <= part["auc"] <= BAND[1] for part in found.values()),
    }


def audit_sounds(
    forge: Forge, clips: Iterable[tuple[str, FaceClip]], *, draws: int = 10, seed: int = 0
) -> dict[str, Any]:
    """Forge each of the named clips `draws` times, and tell the pairs by their sound alone; ready for JSON.

    All windows of a clip stay in one fold. `sound`: see `tell_apart`; `left_out` counts clips by the forge's reason.
    """
    rng = np.random.default_rng(seed)
    pairs = Pairs()
    left_out: Counter[str] = Counter()
    for name, clip in clips:
        try:
            forged = [forge(clip, rng) for _ in range(draws)]
        except ForgeError as error:
            left_out[str(error)] += 1
            continue
        for pair in forged:
            assert pair.real.sound is not None
            assert pair.fake.sound is not None
            pairs.add(sound_traces(pair.real.sound), sound_traces(pair.fake.sound), name)
    found = pairs.tell_apart(seed)
    return {
        "pairs": len(pairs.groups),
        "clips": len(set(pairs.groups)),
        "sound": found,
        "left_out": dict(left_out),
        "passed": BAND[0] <= found["auc"] <= BAND[1],
    }


def moved_mask(mask: np.ndarray, step: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """bool[H, W]: where the mask lies after a step of the augmentation, and `REACH` pixels around it.

    The step goes over the mask as a picture too; whatever it does to colours, it does to black and to white.
    """
    black, white, seen = (
        step(np.repeat(255 * plane[..., None].astype(np.uint8), 3, 2)).astype(np.float32).mean(-1)
        for plane in (np.zeros_like(mask), np.ones_like(mask), mask)
    )
    inside = np.abs(seen - black) > 0.15 * np.abs(white - black)
    return cv2.dilate(inside.astype(np.uint8), np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)) > 0


class Pairs:
    """Traces of authentic and forged ones, side by side, and whose they are."""

    def __init__(self) -> None:
        self.real: list[np.ndarray] = []
        self.fake: list[np.ndarray] = []
        self.groups: list[str] = []
        self.left_out = 0

    def add(self, real: np.ndarray | None, fake: np.ndarray | None, group: str) -> None:
        if real is None or fake is None:
            self.left_out += 1
            return
        self.real.append(real)
        self.fake.append(fake)
        self.groups.append(group)

    def tell_apart(self, seed: int) -> dict[str, Any]:
        return tell_apart(np.array(self.real), np.array(self.fake), self.groups, seed)


def tell_apart(real: np.ndarray, fake: np.ndarray, groups: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """How well a classifier that has not seen a pair tells its two, from traces float[n, d] each.

    `auc` over all, forged against authentic; `pair_auc`, sharper: how often the forgery of a pair scores above its own
    original, ties counting half. Intervals of 95 %, pairs of a group drawn together. Five folds; groups are not split.
    Raises `ValueError` for fewer groups than folds.
    """
    names = list(dict.fromkeys(groups))
    if len(names) < FOLDS:
        raise ValueError(f"{len(names)} origins; an audit needs at least {FOLDS}, better hundreds")
    order = np.random.default_rng(seed).permutation(len(names)) % FOLDS
    number = dict(zip(names, order, strict=True))
    fold = np.array([number[name] for name in groups])
    scores = np.empty((2, len(real)))
    for k in range(FOLDS):
        seen, unseen = fold != k, fold == k
        centre, weights = _ridge(real[seen], fake[seen])
        scores[:, unseen] = [(part[unseen] - centre) @ weights for part in (real, fake)]
    labels = np.repeat([0, 1], len(real))
    clusters = [*groups, *groups]
    wins = (np.sign(scores[1] - scores[0]) + 1) / 2
    auc = bootstrap_intervals({"auc": RANK_MEASURES["auc"]}, labels, scores.ravel(), clusters=clusters, seed=seed)
    pair = bootstrap_intervals({"pair_auc": _mean}, labels[: len(wins)], wins, clusters=groups, seed=seed)
    return {
        "auc": roc_auc(labels, scores.ravel()),
        "pair_auc": float(wins.mean()),
        "intervals": {name: list(interval) for name, interval in (auc | pair).items()},
        "pairs": len(real),
        "origins": len(names),
    }


def _ridge(real: np.ndarray, fake: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and weights float64[d] of the regression to -1 (authentic) and 1 (forged)."""
    both = np.concatenate([real, fake])
    centre, scale = both.mean(0), both.std(0)
    scale[scale < 1e-9] = np.inf  # what is constant says nothing
    x = (both - centre) / scale
    y = np.repeat([-1.0, 1.0], len(real))
    return centre, np.linalg.solve(x.T @ x / len(x) + SHRINKAGE * np.eye(x.shape[1]), x.T @ y / len(x)) / scale


def _mean(labels: np.ndarray, values: Floats, weights: Floats) -> Floats:
    return weights @ values / weights.sum(1)
