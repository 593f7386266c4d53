"""Double quantisation: which part of a twice compressed JPEG was compressed only once (on this grid)?

T. Bianchi, A. De Rosa, A. Piva, "Improved DCT Coefficient Analysis for Forgery Localization in JPEG Images", ICASSP
2011, after Z. Lin et al., Pattern Recognition 42(11), 2009. Coefficients that were quantised with a step q1 and then
with q2 have a comb-like histogram; a pasted part has the smooth one. What a smooth one looks like is told by the same
picture shifted by half a block.
"""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.detect.evidence.dct import BLOCK, block_dct
from interceptor.detect.evidence.maps import LEAST_AREA, EvidenceMap, share_above_half, spread
from interceptor.detect.evidence.picture import Picture

NAME = "quantisation"
LIMITS = (
    "Needs a JPEG that was compressed twice on the same grid, the second time better than the first. A single "
    "compression, cropping or scaling between the two, and a much stronger second one hide it. Smooth parts, text "
    "and repeated brushes may stand out without being pasted."
)
FREQUENCIES = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (0, 3), (3, 0), (2, 2))
LARGEST = 60
"""Quantised values are clipped to this: larger ones are rare."""
LARGEST_STEP = 40
LEAST_GAIN = 0.02
"""Nats a block by which two compressions must explain a frequency's histogram better than one."""
LEAST_SHARE = 0.4
"""If less than this share of the picture were compressed twice, the comb is not the picture's history."""
SAMPLE = 100_000


def histogram(values: np.ndarray) -> np.ndarray:
    """Shares of the whole numbers -60..60, never quite 0: float64[121]."""
    clipped = np.clip(values, -LARGEST, LARGEST).astype(np.int64).ravel() + LARGEST
    counts = np.bincount(clipped, minlength=2 * LARGEST + 1) + 0.05
    return counts / counts.sum()


def twice(unquantised: np.ndarray, first: int, last: int, rng: np.random.Generator) -> np.ndarray:
    """Values after steps `first` and `last`, with the rounding of grey levels between the two saves."""
    between = np.round(unquantised / first) * first + rng.normal(0, 0.3, unquantised.shape)
    return np.round(between / last)


def fit(observed: np.ndarray, smooth: np.ndarray, last: int) -> tuple[float, float, np.ndarray, np.ndarray]:
    """The first step that explains `observed` (quantised values of one frequency) best.

    `smooth` are the same frequency's unquantised values of the shifted picture. Returns (gain in nats a block over a
    single compression, share compressed twice, histograms of one and of two compressions).
    """
    rng = np.random.default_rng(0)
    seen, once = histogram(observed), histogram(np.round(smooth / last))
    best = (0.0, 0.0, once, once)
    for first in range(2, LARGEST_STEP + 1):
        if last % first == 0:  # the second compression hides the first
            continue
        comb = histogram(twice(smooth, first, last, rng))
        for share in np.arange(0.3, 1.01, 0.1):
            mixed = share * comb + (1 - share) * once
            gain = float(np.sum(seen * np.log(mixed / once)))
            if gain > best[0]:
                best = (gain, float(share), once, comb)
    return best


def quantisation(picture: Picture) -> EvidenceMap:
    """Regions whose coefficients lack the comb of the rest."""
    if picture.luma_table is None:
        return EvidenceMap.abstain(NAME, LIMITS, picture.no_jpeg)
    if min(picture.shape) < 128:
        return EvidenceMap.abstain(NAME, LIMITS, "the picture is smaller than 128 pixels a side")
    stored, half = picture.coefficients, BLOCK // 2
    shifted = block_dct(picture.luma, half, half).reshape(-1, BLOCK, BLOCK)
    shifted = shifted[:: max(1, len(shifted) // SAMPLE)]
    log_odds = np.zeros(stored.shape[:2], np.float32)
    shares: list[float] = []
    for row, column in FREQUENCIES:
        step = int(picture.luma_table[row, column])
        values = stored[..., row, column]
        gain, share, once, comb = fit(values, shifted[:, row, column], step)
        if gain < LEAST_GAIN or share < LEAST_SHARE:
            continue
        shares.append(share)
        ratio = np.clip(np.log(once / comb), -2, 2).astype(np.float32)  # no single value decides
        log_odds += ratio[np.clip(values, -LARGEST, LARGEST) + LARGEST]
    measures = {
        "frequencies": float(len(shares)),
        "share_twice": float(np.mean(shares)) if shares else 0.0,
        "single_area": 0.0,
    }
    if len(shares) < 2:
        values = np.zeros(picture.shape, np.float32)
        caption = "The coefficients show no earlier compression on this grid, so that nothing can be told apart by it."
        return EvidenceMap(NAME, values, caption, LIMITS, measures=measures)
    # Neighbours are summed, since forgeries are larger than a block; 5 nats stand against a paste being rare.
    evidence = cv2.boxFilter(log_odds, -1, (5, 5), normalize=False, borderType=cv2.BORDER_REFLECT) - 5
    values = spread(1 / (1 + np.exp(-np.clip(evidence, -30, 30))), BLOCK, picture.shape)
    measures["single_area"] = share_above_half(values)
    caption = "The picture was compressed as a JPEG twice. "
    if measures["single_area"] > LEAST_AREA:
        caption += (
            f"The bright regions ({measures['single_area']:.1%} of the area) lack the first save: they came later."
        )
    else:
        caption += "All of it shows both."
    return EvidenceMap(NAME, values, caption, LIMITS, measures=measures)
