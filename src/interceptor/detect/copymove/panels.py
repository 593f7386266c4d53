"""The panels of a compound figure: rectangles that stand on a page of one colour."""

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

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are outside."""


def split(grey: np.ndarray) -> list[Box]:
    """Panels of `grey` uint8[H, W] in reading order; none where there is no page around them.

    Gutters may be of any one colour and as narrow as one pixel; a frame counts as its panel. Letters, axes and
    what is not nearly rectangular are no panels.
    """
    page = page_colour(grey)
    if page is None:
        return []
    content = (np.abs(grey.astype(np.int16) - page) > PAGE_TOLERANCE).astype(np.uint8)
    outlines, _ = cv2.findContours(content, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    boxes = []
    for outline in outlines:
        left, top, width, height = cv2.boundingRect(outline)
        filled = cv2.contourArea(outline) + cv2.arcLength(outline, closed=True) / 2
        if min(width, height) >= MIN_SIDE and filled > RECTANGLE * width * height:
            boxes.append((left, top, left + width, top + height))
    largest = sorted(boxes, key=lambda box: (box[0] - box[2]) * (box[3] - box[1]))[:MAX_PANELS]
    return sorted(largest, key=lambda box: (box[1], box[0]))


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
