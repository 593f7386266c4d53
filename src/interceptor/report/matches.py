"""Copied regions as a picture: outlines, tinted masks and an arrow from each region to its copy."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from interceptor.detect.copymove.result import Match, Region

COLOURS = ((230, 60, 40), (30, 130, 230), (40, 170, 70), (220, 140, 20), (160, 60, 200), (20, 170, 180))
"""RGB, told apart on light and dark ground; matches take them in turn."""
MAX_SIDE = 1600
GAP = 12
"""Pixels between two pictures drawn side by side."""


def draw_matches(pictures: Sequence[np.ndarray], matches: Sequence[Match]) -> np.ndarray:
    """`pictures` uint8[H, W, 3] side by side, each at most `MAX_SIDE` pixels long, with the matches between and within
    them (their `source_file` and `copy_file` index `pictures`). Returns uint8[h, w, 3] RGB.
    """
    zooms = [min(1.0, MAX_SIDE / max(rgb.shape[:2])) for rgb in pictures]
    small = [_shrunk(rgb, zoom) for rgb, zoom in zip(pictures, zooms, strict=True)]
    lefts = np.cumsum([0, *(rgb.shape[1] + GAP for rgb in small)])
    canvas = np.full((max(rgb.shape[0] for rgb in small), lefts[-1] - GAP, 3), 255, np.uint8)
    for rgb, left in zip(small, lefts, strict=False):
        canvas[: rgb.shape[0], left : left + rgb.shape[1]] = rgb
    for number, match in enumerate(matches):
        colour = COLOURS[number % len(COLOURS)]
        ends = []
        for region, file in ((match.source, match.source_file), (match.copy, match.copy_file)):
            zoom, left = zooms[file], int(lefts[file])
            _tint(canvas, region, zoom, left, colour)
            ends.append((round(region.centre[0] * zoom) + left, round(region.centre[1] * zoom)))
        cv2.arrowedLine(canvas, ends[0], ends[1], (255, 255, 255), 4, cv2.LINE_AA, tipLength=0.06)
        cv2.arrowedLine(canvas, ends[0], ends[1], colour, 2, cv2.LINE_AA, tipLength=0.06)
    return canvas


def _shrunk(rgb: np.ndarray, zoom: float) -> np.ndarray:
    if zoom == 1:
        return rgb
    size = max(1, round(rgb.shape[1] * zoom)), max(1, round(rgb.shape[0] * zoom))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)


def _tint(canvas: np.ndarray, region: Region, zoom: float, left: int, colour: tuple[int, int, int]) -> None:
    """Tints a region a little and outlines it, in place."""
    outlines, _ = cv2.findContours(region.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    corner, shift = np.array([region.left, region.top]), np.array([left, 0], np.int32)
    moved = [np.round((outline + corner) * zoom).astype(np.int32) + shift for outline in outlines]
    tinted = cv2.drawContours(canvas.copy(), moved, -1, colour, cv2.FILLED)
    cv2.addWeighted(tinted, 0.25, canvas, 0.75, 0, dst=canvas)
    cv2.drawContours(canvas, moved, -1, colour, 2, cv2.LINE_AA)
