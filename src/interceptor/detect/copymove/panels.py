"""The panels of a compound figure: rectangles that stand on a page of one colour, or touch along straight seams."""

from __future__ import annotations

import cv2
import numpy as np

PAGE_SHARE = 0.6
"""A picture has a page where this share of its border has one colour."""
PAGE_TOLERANCE = 12
MIN_SIDE = 32
RECTANGLE = 0.9
"""Share of its bounding box that a panel's outline fills."""
MAX_PANELS = 400
SEAM = 0.5
"""Share of a straight line's pixels that must differ across it for panels to touch there."""
STEP = 4
"""Grey levels by which they differ at least, beside twice what they do two pixels further on."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are outside."""


def split(grey: np.ndarray) -> list[Box]:
    """Panels of `grey` uint8[H, W] in reading order; none where there is neither a page around them nor a seam.

    Gutters may be of any one colour and as narrow as one pixel, or missing; a frame counts as its panel. Letters, axes
    and what is not nearly rectangular are no panels.
    """
    page = page_colour(grey)
    boxes = [(0, 0, grey.shape[1], grey.shape[0])] if page is None else _on_page(grey, page)
    parts = [part for box in boxes for part in _cut(grey, box)]
    if page is None and len(parts) == 1:
        return []
    largest = sorted(parts, key=lambda box: (box[0] - box[2]) * (box[3] - box[1]))[:MAX_PANELS]
    return sorted(largest, key=lambda box: (box[1], box[0]))


def _on_page(grey: np.ndarray, page: int) -> list[Box]:
    content = (np.abs(grey.astype(np.int16) - page) > PAGE_TOLERANCE).astype(np.uint8)
    outlines, _ = cv2.findContours(content, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    boxes = []
    for outline in outlines:
        left, top, width, height = cv2.boundingRect(outline)
        filled = cv2.contourArea(outline) + cv2.arcLength(outline, closed=True) / 2
        if min(width, height) >= MIN_SIDE and filled > RECTANGLE * width * height:
            boxes.append((left, top, left + width, top + height))
    return boxes


def _cut(grey: np.ndarray, box: Box) -> list[Box]:
    """A box, cut along its clearest seam from side to side, and its parts likewise, until none has one."""
    left, top, right, bottom = box
    part = grey[top:bottom, left:right].astype(np.int16)
    (down, row), (across, column) = _seam(part.T), _seam(part)
    if max(down, across) < SEAM:
        return [box]
    if down > across:
        halves: list[Box] = [(left, top, right, top + row), (left, top + row, right, bottom)]
    else:
        halves = [(left, top, left + column, bottom), (left + column, top, right, bottom)]
    return [part for half in halves for part in _cut(grey, half)]


def _seam(part: np.ndarray) -> tuple[float, int]:
    """Of the clearest seam of int16[h, w]: the share of rows that step there, and the first column to its right."""
    if part.shape[1] < 2 * MIN_SIDE:
        return 0.0, 0
    step = np.abs(np.diff(part, axis=1))
    beside = np.maximum(step[:, :-4], step[:, 4:])
    share = np.mean(step[:, 2:-2] > 2 * beside + STEP, axis=0)[MIN_SIDE - 3 : part.shape[1] - MIN_SIDE - 2]
    return float(share.max()), int(share.argmax()) + MIN_SIDE


def page_colour(grey: np.ndarray) -> int | None:
    """The grey level of the page, or None where the border shows no single one."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    counts = np.bincount(border, minlength=256)
    level = int(counts.argmax())
    near = counts[max(0, level - PAGE_TOLERANCE) : level + PAGE_TOLERANCE + 1].sum()
    return level if near >= PAGE_SHARE * len(border) else None


def panel_at(boxes: list[Box], x: float, y: float) -> int | None:
    """Index of the panel that holds a point."""
    inside = [i for i, (left, top, right, bottom) in enumerate(boxes) if left <= x < right and top <= y < bottom]
    return inside[0] if inside else None
