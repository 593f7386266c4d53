"""Resampling: was a region scaled or turned?

Interpolated pixels are, at regular distances, better predicted by their neighbours. A. Popescu, H. Farid, "Exposing
Digital Forgeries by Detecting Traces of Resampling", IEEE TSP 53(2), 2005, with the fixed predictor of M. Kirchner,
"Fast and Reliable Resampling Detection by Spectral Analysis of Fixed Linear Predictor Residue", ACM MM&Sec 2008. The
period is looked for in profiles of windows, as A. Gallagher (CRV 2005) and B. Mahdian and S. Saic (IEEE TIFS 3(3),
2008) do with second derivatives. Peaks are believed when chance cannot explain them.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from interceptor.detect.evidence.maps import LEAST_AREA, EvidenceMap, share_above_half, spread
from interceptor.detect.evidence.picture import Picture

NAME = "resampling"
LIMITS = (
    "Shows enlarging best; shrinking, and turning by small angles, often leave nothing. JPEG compression hides it, "
    "and can imitate it at about 95. Fabrics, blinds, bricks, screens and prints have periods of their own and can "
    "look the same. Many honest pictures were scaled as a whole: then only regions that differ are shown."
)
WINDOW = 64
STEP = 16
LOWEST = 0.06
"""Cycles a pixel; below it lies the picture's content."""
PREDICTOR = np.array([[-1, 4, -6, 4, -1]], np.float32) / 6
"""What a pixel's four neighbours in its row predict, less the pixel."""
BINS = 2 * WINDOW
LOBE = 2
"""Bins on either side of a harmonic of JPEG's grid that its changes from block to block fill."""
LEAST_WIDTH = 0.5
GRIDDED = 2.0
"""Power over its level at the harmonics of 1/8, in the median window; chance gives 0.7."""
SURE = 2.0
"""A peak is shown from a number of false alarms of 10^-2 on: scenes are not pure noise."""
NEAR = 8
"""Bins on either side from which the level of the spectrum is taken."""


def profiles(detail: np.ndarray) -> np.ndarray:
    """Means of `detail` float32[H, W] over the rows of each window: float32[rows, columns, WINDOW]."""
    rows = (detail.shape[0] - WINDOW) // STEP + 1
    means = np.stack([detail[row * STEP : row * STEP + WINDOW].mean(axis=0) for row in range(rows)])
    return sliding_window_view(means, WINDOW, axis=1)[:, ::STEP]


def over_level(profile: np.ndarray) -> np.ndarray:
    """Power spectra over the mean level of their neighbourhood, averaged over 3 x 3 windows, which a
    period shares and chance does not: float32[rows, columns, BINS // 2 + 1].

    The level is told robustly by the median, which is ln 2 of the mean where chance alone reigns.
    """
    windows = (profile - profile.mean(axis=2, keepdims=True)) * np.hanning(WINDOW).astype(np.float32)
    power = np.abs(np.fft.rfft(windows, BINS, axis=2)).astype(np.float32) ** 2
    padded = np.pad(power, ((0, 0), (0, 0), (NEAR, NEAR)), mode="reflect")
    level = np.median(sliding_window_view(padded, 2 * NEAR + 1, axis=2)[:, :, :, ::2], axis=3) / np.log(2)
    over = power / np.maximum(level, 1e-9)
    return np.stack(
        [cv2.blur(plane, (3, 3), borderType=cv2.BORDER_REFLECT) for plane in np.moveaxis(over, 2, 0)], axis=2
    )


def peaks(luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(log10 NFA, frequency in cycles a pixel) of the surest peak along the rows: float32[rows, columns] each.

    Under chance alone, a bin's power is exponential with the level of its neighbourhood. What the gradient shows as
    well belongs to the scene and does not count, nor do the harmonics of 1/8 where the picture has JPEG's grid.
    """
    residue = cv2.filter2D(luma, cv2.CV_32F, PREDICTOR, borderType=cv2.BORDER_REFLECT)
    width = max(float(np.median(np.abs(residue))), LEAST_WIDTH)
    predictable = profiles(np.exp(-0.5 * (residue / width) ** 2))
    spectrum = over_level(predictable)
    bins, eighth = np.arange(spectrum.shape[2]), BINS // 8
    if np.median(spectrum[..., eighth : BINS // 2 : eighth]) > GRIDDED:
        phases = predictable.reshape(*predictable.shape[:2], WINDOW // 8, 8)
        spectrum = over_level((phases - phases.mean(axis=2, keepdims=True)).reshape(predictable.shape))
        spectrum[..., np.abs(bins - eighth * np.round(bins / eighth)) <= LOBE] = 0
    gradient = cv2.filter2D(luma, cv2.CV_32F, np.array([[-0.5, 0, 0.5]], np.float32), borderType=cv2.BORDER_REFLECT)
    surprise = spectrum - over_level(profiles(gradient))
    surprise[..., bins < LOWEST * BINS] = 0
    beside = np.pad(spectrum, ((0, 0), (0, 0), (1, 1)))
    surprise[(spectrum < beside[..., :-2]) | (spectrum < beside[..., 2:])] = 0  # flanks of a peak elsewhere
    tests = surprise.shape[0] * surprise.shape[1] * WINDOW
    best = surprise.argmax(axis=2)
    nfa = np.log10(tests) - surprise.max(axis=2) / np.log(10)
    return nfa.astype(np.float32), (best / BINS).astype(np.float32)


def resampling(picture: Picture) -> EvidenceMap:
    """Regions whose predictability is periodic where that of the rest is not, or with another period."""
    if min(picture.shape) < 2 * WINDOW:
        return EvidenceMap.abstain(NAME, LIMITS, f"the picture is smaller than {2 * WINDOW} pixels a side")
    across, across_at = peaks(picture.luma)
    down, down_at = (found.T for found in peaks(np.ascontiguousarray(picture.luma.T)))
    values, whole, strongest = np.zeros(picture.shape, np.float32), 0.0, 0.0
    for nfa, at in ((across, across_at), (down, down_at)):
        sure = nfa < 0
        common = np.bincount(np.round(at[sure] * BINS).astype(int), minlength=1).argmax() / BINS
        of_whole = sure & (np.abs(at - common) < 1.5 / WINDOW)
        if of_whole.mean() > 0.4:  # the picture's own period
            whole, sure = float(common), sure & ~of_whole
        strength = np.where(sure & (nfa < -SURE), 0.5 + np.minimum(-nfa - SURE, 10) / 20, 0)
        strongest = max(strongest, float(-nfa[sure].min())) if sure.any() else strongest
        values = np.maximum(values, spread(strength, STEP, picture.shape, ((WINDOW - STEP) // 2, (WINDOW - STEP) // 2)))
    measures = {
        "resampled_area": share_above_half(values),
        "whole_period": 1 / whole if whole else 0.0,
        "peak": strongest,
    }
    caption = (
        f"The whole picture has a period of {1 / whole:.2f} pixels: it was scaled, or is as a camera's colour filter "
        "left it. "
        if whole
        else ""
    )
    if measures["resampled_area"] > LEAST_AREA:
        caption += (
            f"The bright regions ({measures['resampled_area']:.1%} of the area) have a regular period, as enlarged "
            "or turned parts have."
        )
    else:
        caption += "No region shows a period of its own."
    return EvidenceMap(NAME, values, caption, LIMITS, measures=measures)
