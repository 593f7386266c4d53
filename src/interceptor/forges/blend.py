"""One driver for the picture forges: a change of single pictures, blended into the face of every view of a clip.

The blend's shape is drawn once a clip, in the frame of the aligned crop, and brought to the other views by the
similarity that cuts the crop; the change is made in each view at that view's own resolution. Outside the mask both
pictures of a pair are bit-identical.

Half of the time the change is on the other side of the blend (as in Shiohara & Yamasaki, CVPR 2022): the whole
authentic clip gets it, and the forgery is the clip as it was, blended into that. So neither the face alone nor its
surroundings alone tell which is which; only that they differ does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from interceptor.forges.masks import draw_shape
from interceptor.media.clips import FaceClip
from interceptor.media.crops import CONTEXT_SCALE, CONTEXT_SIZE, CROP_SIZE, similarity

RATIOS = (0.7, 0.85, 1.0, 1.0)
"""Largest weights of a blend. Higher than for self-blends: the changes are smaller."""
MARGIN = 64
"""Pixels of the crop by which the blend may reach beyond it."""
CANVAS_SCALE = 0.5
"""The weights are smooth: half the crop's resolution holds them."""
LEAST = 0.02
"""Weights below it are 0: they would change nothing but the mask's width."""


class ForgeError(ValueError):
    """This clip does not have what the forge needs."""


@dataclass(frozen=True)
class Forged:
    """An authentic clip and its forgery."""

    real: FaceClip
    fake: FaceClip
    mask: np.ndarray
    """bool[n, 224, 224], on the crops: outside it the two are bit-identical"""


@dataclass(frozen=True)
class Place:
    """When a picture of a clip was taken, and where it lies."""

    crop: int
    """the crop that it is a view of"""
    step: int
    """-1: the frame before, 0: the crop's own, 1: the frame after"""
    matrix: np.ndarray
    """float64[3, 3]: from pixels of the aligned crop to pixels of this picture"""

    @property
    def scale(self) -> float:
        """Pixels of this picture to one of the crop."""
        return math.hypot(*self.matrix[:2, 0])

    def rng(self, seed: int) -> np.random.Generator:
        """The random numbers of this moment; all views of it have the same."""
        return np.random.default_rng((seed, self.crop, self.step + 1))


Change = Callable[[np.ndarray, Place], np.ndarray]
"""float32[H, W, 3] RGB, 0 to 255, to the same (what leaves that range is clipped)."""
Drift = Callable[[Place], np.ndarray]
"""How far the blend has moved at a moment: float64[2], pixels of the crop."""


def blend(
    clip: FaceClip, rng: np.random.Generator, change: Change, *, either_side: bool = True, drift: Drift | None = None
) -> Forged:
    """Blend `change` into the face in crops, context, native crops and neighbours, as far as the clip has them.

    `either_side`: half of the time the authentic clip is changed and the face in the forgery is not (see above).
    """
    side = round((CROP_SIZE + 2 * MARGIN) * CANVAS_SCALE)
    canvas = draw_shape(rng, RATIOS).render((side, side), (clip.landmarks.mean(0) + MARGIN) * CANVAS_SCALE)
    canvas[canvas < LEAST] = 0
    on_clip = either_side and rng.random() < 0.5
    reals, fakes, masks = [], [], []
    for picture, place in pictures(clip):
        moved = np.zeros(2) if drift is None else drift(place)
        to_picture = place.matrix @ shift(moved - MARGIN) @ np.diag([1 / CANVAS_SCALE, 1 / CANVAS_SCALE, 1])
        weight = warped(canvas, to_picture, picture.shape[1::-1])[..., None]
        changed = np.rint(np.clip(change(picture.astype(np.float32), place), 0, 255)).astype(np.uint8)
        real, face = (changed, picture) if on_clip else (picture, changed)
        reals.append(real)
        fakes.append(np.rint(face * weight + real * (1 - weight)).astype(np.uint8))
        masks.append(weight[..., 0] > 0)
    return Forged(_with_pictures(clip, reals), _with_pictures(clip, fakes), np.stack(masks[: len(clip.crops)]))


def shift(by: np.ndarray) -> np.ndarray:
    """float64[3, 3] that moves points by `by`."""
    matrix = np.eye(3)
    matrix[:2, 2] = by
    return matrix


def warped(picture: np.ndarray, matrix: np.ndarray, size: tuple[int, int], cubic: bool = False) -> np.ndarray:
    """`picture` under `matrix` float64[3, 3] (continuous coordinates: the first pixel's centre is at 0.5), `size` =
    (width, height). Weights, which are interpolated linearly, are 0 beyond their picture; colours are reflected.
    """
    half = np.full(2, 0.5)
    centred = shift(-half) @ matrix @ shift(half)  # OpenCV puts pixel centres at whole numbers
    filtering, border = (cv2.INTER_CUBIC, cv2.BORDER_REFLECT) if cubic else (cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
    return cv2.warpAffine(picture, centred[:2], size, flags=filtering, borderMode=border)


def _context_matrix() -> np.ndarray:
    scale = CONTEXT_SIZE / (CROP_SIZE * CONTEXT_SCALE)
    return shift(np.full(2, CONTEXT_SIZE / 2)) @ np.diag([scale, scale, 1]) @ shift(np.full(2, -CROP_SIZE / 2))


def _native_matrix(landmarks: np.ndarray) -> np.ndarray:
    return np.linalg.inv(np.vstack([similarity(landmarks), [0, 0, 1]]))


def pictures(clip: FaceClip) -> list[tuple[np.ndarray, Place]]:
    """All pictures of a clip, the crops first, in the order in which `_with_pictures` takes them back."""
    found = [(crop, Place(i, 0, np.eye(3))) for i, crop in enumerate(clip.crops)]
    if clip.context is not None:
        found += [(wide, Place(i, 0, _context_matrix())) for i, wide in enumerate(clip.context)]
    if clip.neighbours is not None:
        for i, (before, after) in enumerate(clip.neighbours):
            found += [(before, Place(i, -1, np.eye(3))), (after, Place(i, 1, np.eye(3)))]
    if clip.native is not None:
        found += [(one.pixels, Place(i, 0, _native_matrix(one.landmarks))) for i, one in enumerate(clip.native)]
    return found


def _with_pictures(clip: FaceClip, pictures: list[np.ndarray]) -> FaceClip:
    rest = iter(pictures)

    def take(old: np.ndarray | None) -> np.ndarray | None:
        if old is None:
            return None
        count = old.size // math.prod(old.shape[-3:])
        return np.stack([next(rest) for _ in range(count)]).reshape(old.shape)

    crops, context, neighbours = take(clip.crops), take(clip.context), take(clip.neighbours)
    native = None if clip.native is None else tuple(replace(one, pixels=next(rest)) for one in clip.native)
    assert crops is not None
    return replace(clip, crops=crops, context=context, neighbours=neighbours, native=native)
