"""Resampling: was a region scaled or turned?

Interpolated pixels are smoother at regular distances. A. Gallagher, "Detection of Linear and Cubic Interpolation in
JPEG Compressed Images", CRV 2005, finds the period in the second derivative; B. Mahdian, S. Saic, "Blind Authentication
Using Periodic Properties of Interpolation", IEEE TIFS 3(3), 2008, do so for regions. (The first of the kind: A. Popescu,
H. Farid, IEEE TSP 53(2), 2005.) Peaks are believed when chance cannot explain them.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from interceptor.detect.evidence.maps import EvidenceMap, share_above_half, spread
from interceptor.detect.evidence.picture import Picture

NAME = "resampling"
LIMITS = (
    "Shows enlarging best; shrinking, and turning by small angles, often leave nothing. JPEG compression below about 90 "
    "hides it. Fabrics, blinds, bricks, screens and prints have periods of their own and can look the same. Many honest "
    "pictures were scaled as a whole: then only regions that differ are shown."
)
WINDOW = 64
STEP = 16
LOWEST = 0.06
"""Cycles a pixel; below it lies the picture's content."""
NEAR = 8
"""Bins on either side from which the level of the spectrum is taken."""


def profile_spectra(detail: np.ndarray) -> np.ndarray:
    """Power spectra of windows, of the mean of `detail` float32[H, W] over their rows: float32[rows, columns, bins]."""
    height, width = detail.shape
    rows = (height - WINDOW) // STEP + 1
    means = np.stack([detail[row * STEP : row * STEP + WINDOW].mean(axis=0) for row in range(rows)])
    windows = sliding_window_view(means, WINDOW, axis=1)[:, ::STEP]
    windows = (windows - windows.mean(axis=2, keepdims=True)) * np.hanning(WINDOW).astype(np.float32)
    return np.abs(np.fft.rfft(windows, 2 * WINDOW, axis=2)).astype(np.float32) ** 2


def peaks(luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(log10 NFA, frequency in cycles a pixel) of the surest peak along the rows: float32[rows, columns] each.

    Under chance alone, a bin's power is exponential with the level of its neighbourhood; a peak that the mean
    brightness shows as well belongs to the scene and does not count, nor do the harmonics of JPEG's grid.
    """
    second = np.abs(cv2.filter2D(luma, cv2.CV_32F, np.array([[1, -2, 1]], np.float32), borderType=cv2.BORDER_REFLECT))
    power = profile_spectra(np.log1p(second))
    scene = profile_spectra(cv2.filter2D(luma, cv2.CV_32F, np.array([[-1, 0, 1]], np.float32)))
    frequency = np.arange(power.shape[2]) / (2 * WINDOW)
    surprise = _over_level(power) - _over_level(scene)
    grid = np.abs(frequency * 8 - np.round(frequency * 8)) / 8 < 2.5 / WINDOW / 2
    surprise[..., grid | (frequency < LOWEST)] = 0
    tests = surprise.shape[0] * surprise.shape[1] * WINDOW
    best = surprise.argmax(axis=2)
    return np.float32(np.log10(tests) - surprise.max(axis=2) / np.log(10)), np.float32(frequency[best])


def _over_level(power: np.ndarray) -> np.ndarray:
    """Power over the mean level of its neighbourhood, which the median tells robustly (ln 2 of the mean)."""
    padded = np.pad(power, ((0, 0), (0, 0), (NEAR, NEAR)), mode="reflect")
    level = np.median(sliding_window_view(padded, 2 * NEAR + 1, axis=2)[:, :, :, ::2], axis=3) / np.log(2)
    return power / np.maximum(level, 1e-9)


def resampling(picture: Picture) -> EvidenceMap:
    """Regions whose second derivative is periodic where that of the rest is not, or with another period."""
    if min(picture.shape) < 2 * WINDOW:
        return EvidenceMap.abstain(NAME, LIMITS, f"the picture is smaller than {2 * WINDOW} pixels a side")
    across, across_at = peaks(picture.luma)
    down, down_at = (found.T for found in peaks(np.ascontiguousarray(picture.luma.T)))
    values, whole, strongest = np.zeros(picture.shape, np.float32), 0.0, 0.0
    for nfa, at in ((across, across_at), (down, down_at)):
        sure = nfa < 0
        common = np.bincount(np.round(at[sure] * 2 * WINDOW).astype(int), minlength=1).argmax() / (2 * WINDOW)
        of_whole = sure & (np.abs(at - common) < 1.5 / WINDOW)
        if of_whole.mean() > 0.4:  # the picture's own period
            whole, sure = float(common), sure & ~of_whole
        strength = np.where(sure, 0.5 + np.minimum(-nfa, 6) / 12, 0)
        strongest = max(strongest, float(-nfa[sure].min())) if sure.any() else strongest
        values = np.maximum(values, spread(strength, STEP, picture.shape, ((WINDOW - STEP) // 2, (WINDOW - STEP) // 2)))
    measures = {"resampled_area": share_above_half(values), "whole_period": 1 / whole if whole else 0.0, "peak": strongest}
    caption = f"The whole picture was scaled (a period of {1 / whole:.2f} pixels). " if whole else ""
    if measures["resampled_area"] > 0:
        caption += (
            f"The bright regions ({measures['resampled_area']:.1%} of the area) have a regular period, as enlarged or turned "
            "parts have."
        )
    else:
        caption += "No region shows a period of its own."
    return EvidenceMap(NAME, values, caption, LIMITS, measures=measures)
