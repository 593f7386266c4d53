"""Noise that differs: is a region noisier or smoother than its brightness and texture explain?

Block-wise noise level as in B. Mahdian, S. Saic, "Using noise inconsistencies for blind image forensics", Image and
Vision Computing 27(10), 2009, measured with the Laplacian mask of J. Immerkaer (CVIU 64(2), 1996) and the median
absolute deviation. The level that brightness and texture would lead to is fitted to the picture itself and taken out.
"""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.detect.evidence.maps import LEAST_AREA, EvidenceMap, block_mean, block_median, share_above_half, spread
from interceptor.detect.evidence.picture import Picture

NAME = "noise"
LIMITS = (
    "Out-of-focus parts, make-up, sky, prints and screens in the scene differ in noise honestly, as do pictures that a "
    "camera or telephone smoothed or stacked. Strong compression removes the noise, and this trace with it."
)
SIDE = 16
MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
LEAST_LEVEL = 0.15
"""Grey levels; below it a block has no noise of its own (clipped, painted or strongly compressed)."""
FULL_RATIO = 4.0
"""Times more or less noise than expected that is drawn at full brightness; half of that in logarithms is 0.5."""
FULL_DEVIATIONS = 10.0


def noise_levels(luma: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(noise level, brightness, texture) of blocks of 16 pixels, all in grey levels: float32[H // 16, W // 16] each."""
    residual = np.abs(cv2.filter2D(luma, cv2.CV_32F, MASK, borderType=cv2.BORDER_REFLECT))
    middle = np.abs(cv2.GaussianBlur(luma, (0, 0), 2) - cv2.GaussianBlur(luma, (0, 0), 4))
    return block_median(residual, SIDE) / 0.6745, block_mean(luma, SIDE), block_mean(middle, SIDE)


def unexplained(level: np.ndarray, brightness: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Logarithm of the level over what brightness and texture lead to, by a robust fit over the blocks given.

    All float[n]; the fit is quadratic in brightness and in the logarithm of texture, iterated with Cauchy's weights.
    """
    grey, detail, target = brightness / 128 - 1, np.log(texture + 0.2), np.log(level)
    design = np.stack([np.ones_like(grey), grey, grey**2, detail, detail**2], axis=1)
    weights = np.ones(len(target))
    for _ in range(10):
        root = np.sqrt(weights)[:, None]
        solution = np.linalg.lstsq(design * root, target * root[:, 0], rcond=None)[0]
        rest = target - design @ solution
        weights = 1 / (1 + (rest / (2.4 * max(_deviation(rest), 1e-3))) ** 2)
    return rest


def _deviation(values: np.ndarray) -> float:
    return float(np.median(np.abs(values - np.median(values)))) / 0.6745


def noise(picture: Picture) -> EvidenceMap:
    """Regions whose noise the rest does not explain, noisier and smoother alike."""
    if min(picture.shape) < 8 * SIDE:
        return EvidenceMap.abstain(NAME, LIMITS, f"the picture is smaller than {8 * SIDE} pixels a side")
    level, brightness, texture = noise_levels(picture.luma)
    usable = (level > LEAST_LEVEL) & (brightness > 8) & (brightness < 247)
    if usable.sum() < 48:
        return EvidenceMap.abstain(NAME, LIMITS, "hardly any part of the picture has noise that could be measured")
    rest = np.zeros(level.shape, np.float32)
    rest[usable] = unexplained(level[usable], brightness[usable], texture[usable])
    smooth = cv2.medianBlur(rest, 3)
    deviation = max(_deviation(smooth[usable]), 0.02)
    strength = np.minimum(np.abs(smooth) / np.log(FULL_RATIO), np.abs(smooth) / (FULL_DEVIATIONS * deviation))
    values = spread(np.where(usable, strength, 0), SIDE, picture.shape)
    odd = usable & (strength > 0.5)
    measures = {
        "odd_area": share_above_half(values),
        "median_level": float(np.median(level[usable])),
        "largest_ratio": float(np.exp(np.abs(smooth[usable]).max())),
        "usable_area": float(usable.mean()),
    }
    caption = f"The noise is {measures['median_level']:.1f} grey levels (median). "
    if measures["odd_area"] > LEAST_AREA:
        kind = "noisier" if np.median(smooth[odd]) > 0 else "smoother"
        caption += (
            f"The bright regions ({measures['odd_area']:.1%} of the area) are mostly {kind} than equally bright and "
            "equally detailed parts elsewhere."
        )
    else:
        caption += "No region has clearly more or less of it than its brightness and detail explain."
    return EvidenceMap(NAME, values, caption, LIMITS, measures=measures)
