"""Traces of demosaicing: where is the camera's colour interpolation missing or out of step?

A sensor has one colour a pixel; the others are interpolated and so lie between their neighbours. Green is measured on
one of two chequerboards. C.-H. Choi, J.-H. Choi, H.-K. Lee, "CFA pattern identification of digital cameras using
intermediate value counting", ACM MM&Sec 2011, counts such values to name the pattern; here they are counted in
windows, as P. Ferrara et al. ("Image Forgery Localization via Fine-Grained Analysis of CFA Artifacts", IEEE TIFS
7(5), 2012) do with variances.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from interceptor.detect.evidence.maps import LEAST_AREA, EvidenceMap, share_above_half, spread
from interceptor.detect.evidence.picture import Picture

NAME = "demosaic"
LIMITS = (
    "Only full-size pictures of single-sensor cameras, hardly compressed, keep this trace; telephones often lose it "
    "themselves. At JPEG 95 and below parts may be bright merely because compression took the trace there. Smooth "
    "and clipped parts are left dark: they cannot tell. A part copied by an even number of pixels within the same "
    "picture is in step and is not seen."
)
SIDE = 16
WINDOW = 3
"""Counts are summed over this many blocks a side."""
LEAST_TRACE = 0.04
"""How far the share of the sparser chequerboard must be from one half, over the whole picture."""


def extremes(green: np.ndarray) -> np.ndarray:
    """Pixels above or below all four neighbours: bool[H, W]. An average of neighbours never is."""
    cross = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.uint8)
    found = (green > cv2.dilate(green, cross)) | (green < cv2.erode(green, cross))
    found[[0, -1]], found[:, [0, -1]] = False, False
    return found


def demosaic(picture: Picture) -> EvidenceMap:
    """Windows whose greens are not interpolated where those of the rest are."""
    if min(picture.shape) < 8 * SIDE:
        return EvidenceMap.abstain(NAME, LIMITS, f"the picture is smaller than {8 * SIDE} pixels a side")
    found = extremes(picture.rgb[..., 1])
    even = np.add.outer(np.arange(found.shape[0]), np.arange(found.shape[1])) % 2 == 0
    area = (found.shape[1] // SIDE, found.shape[0] // SIDE)
    counts = []
    for lattice in (even, ~even):
        whole = (found & lattice).astype(np.float32)[: area[1] * SIDE, : area[0] * SIDE]
        blocks = cv2.resize(whole, area, interpolation=cv2.INTER_AREA) * SIDE**2
        counts.append(cv2.boxFilter(blocks, -1, (WINDOW, WINDOW), normalize=False, borderType=cv2.BORDER_CONSTANT))
    totals = [float(count.sum()) / WINDOW**2 for count in counts]
    share = min(totals) / max(sum(totals), 1)
    if sum(totals) < 500 or share > 0.5 - LEAST_TRACE:
        reason = "the picture shows no traces of demosaicing (scaled, strongly compressed, or not from such a camera)"
        return EvidenceMap.abstain(NAME, LIMITS, reason)
    share = max(share, 0.01)
    interpolated, measured = sorted(counts, key=lambda count: float(count.sum()))
    # Log-odds of "no trace" (both alike) against "as the rest"; neighbours are not independent, hence a third.
    log_odds = interpolated * math.log(0.5 / share) + measured * math.log(0.5 / (1 - share))
    values = spread(1 / (1 + np.exp(-np.clip(log_odds / 3 - 4, -30, 30))), SIDE, picture.shape)
    measures = {
        "interpolated_share": share,
        "missing_area": share_above_half(values),
        "informative_area": float(np.mean(interpolated + measured > 10)),
    }
    caption = "The picture keeps the traces of a camera's colour interpolation. "
    if measures["missing_area"] > LEAST_AREA:
        caption += (
            f"They are missing or out of step in the bright regions ({measures['missing_area']:.1%} of the area)."
        )
    else:
        caption += "They run through all parts that can tell."
    return EvidenceMap(NAME, values, caption, LIMITS, measures=measures)
