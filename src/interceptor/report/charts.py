"""The pictures of a report: charts as inline SVG, crops and heat maps as data URIs.

Charts measure in percent of their width, so that they fit a phone and a page with letters of one size.
"""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from markupsafe import Markup, escape

from interceptor.detect.result import FaceResult
from interceptor.report.text import clock, count, probability_text, signed

_FORGED_RGB: Final = np.array([213, 94, 0], np.float32)
_AUTHENTIC_RGB: Final = np.array([0, 114, 178], np.float32)
"""Vermilion and blue of the Okabe-Ito palette: told apart with every common colour vision deficiency."""

_HEIGHT: Final = 168
_LABEL_GAP: Final = 15
"""Pixels: the chart's height, and the least distance of two labels on its axis."""

_TICK_STEPS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)


def zone(probability: float, forged: float | None, authentic: float | None) -> str:
    """Which side of the thresholds a probability lies on: `forged`, `authentic` or `inconclusive`."""
    if forged is not None and probability >= forged:
        return "forged"
    return "authentic" if authentic is not None and probability <= authentic else "inconclusive"


def scale(probability: float | None, forged: float | None, authentic: float | None) -> Markup:
    """The probability on a line from 0 to 1 with both thresholds marked."""
    low, high = authentic or 0.0, 1.0 if forged is None else forged
    name = f"Probability of forgery {probability_text(probability)} on a scale from 0 to 1"
    parts = [
        _rect("zone authentic", 0, low, 34, 14),
        _rect("zone inconclusive", low, high, 34, 14),
        _rect("zone forged", high, 1, 34, 14),
    ]
    # One row each: thresholds may lie close together.
    for value, text, bottom in ((authentic, "authentic up to", 66), (forged, "forged from", 84)):
        if value is not None:
            name += f", {text} {probability_text(value)}"
            parts.append(f'<line class="threshold" x1="{value:.2%}" x2="{value:.2%}" y1="28" y2="{bottom - 12}"/>')
            parts.append(_text(f"{text} {probability_text(value)}", value, bottom, _anchor(value)))
    if probability is not None:
        kind = zone(probability, forged, authentic)
        parts.append(f'<circle class="marker {kind}" cx="{probability:.2%}" cy="41" r="10"/>')
        parts.append(_text(probability_text(probability), probability, 20, _anchor(probability, 0.07), "value"))
    return _svg(name, 90, parts, "scale")


def timeline(face: FaceResult, duration: float | None, forged: float | None, authentic: float | None) -> Markup:
    """The calibrated probability of each crop of a face over the whole length of its file."""
    end = max([duration or 0.0, face.last, 0.1, *(crop.time for crop in face.crops)])
    values = [crop.probability for crop in face.crops]
    name = f"Score of face {face.id} over time: {count(len(values), 'crop')}"
    if values:
        name += f" between {clock(face.crops[0].time)} and {clock(face.crops[-1].time)}"
        name += f", probability from {probability_text(min(values))} to {probability_text(max(values))}"
    low, high = authentic or 0.0, 1.0 if forged is None else forged
    parts = [
        f'<rect class="zone forged" x="0" width="100%" y="0" height="{_y(high):.1f}"/>',
        f'<rect class="zone inconclusive" x="0" width="100%" y="{_y(high):.1f}" height="{_y(low) - _y(high):.1f}"/>',
        f'<rect class="zone authentic" x="0" width="100%" y="{_y(low):.1f}" height="{_HEIGHT - _y(low):.1f}"/>',
    ]
    for value in (forged, authentic):
        if value is not None:
            parts.append(f'<line class="threshold" x1="0" x2="100%" y1="{_y(value):.1f}" y2="{_y(value):.1f}"/>')
    parts += [
        f'<text class="tick" x="-8" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
        for text, y in _axis(forged, authentic)
    ]
    for time in ticks(end):
        parts.append(
            f'<line class="tickmark" x1="{time / end:.2%}" x2="{time / end:.2%}" y1="{_HEIGHT}" y2="{_HEIGHT + 5}"/>'
        )
        parts.append(
            _text(clock(time), time / end, _HEIGHT + 20, "start" if time == 0 else _anchor(time / end), "tick")
        )
    first, last = face.first / end, max(face.last / end, face.first / end + 0.004)
    parts.append(f'<line class="seen" x1="{first:.2%}" x2="{last:.2%}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>')
    points = [(crop.time / end, _y(crop.probability)) for crop in face.crops]
    parts += [
        f'<line class="join" x1="{x1:.2%}" y1="{y1:.1f}" x2="{x2:.2%}" y2="{y2:.1f}"/>'
        for (x1, y1), (x2, y2) in pairwise(points)
    ]
    for crop, (x, y) in zip(face.crops, points, strict=True):
        note = f"{clock(crop.time)}: probability {probability_text(crop.probability)}, score {signed(crop.logit)}"
        kind = zone(crop.probability, forged, authentic)
        parts.append(f'<circle class="point {kind}" cx="{x:.2%}" cy="{y:.1f}" r="4.5"><title>{note}</title></circle>')
    return _svg(name, _HEIGHT + 26, parts, "timeline")


def ticks(end: float) -> list[float]:
    """At most seven round times from 0 to `end` seconds."""
    step = next((step for step in _TICK_STEPS if end / step <= 6), end)
    return [index * step for index in range(int(end / step + 1e-9) + 1)]


def heat_limit(heats: list[np.ndarray]) -> float:
    """The share at which colours are strongest: the 99th percentile of all absolute shares of a file."""
    return float(np.percentile(np.abs(np.concatenate([heat.ravel() for heat in heats])), 99)) or 1.0


def overlay(crop: np.ndarray, heat: np.ndarray, limit: float) -> np.ndarray:
    """uint8[h, w, 3] RGB: the crop in grey, each patch tinted by its share.

    `crop` is uint8[h, w, 3] RGB, `heat` float32[rows, columns]. Shares of 0 stay grey; at `limit` and beyond the
    tint is strongest, vermilion towards forged (positive) and blue towards authentic. Patches are not smoothed.
    """
    height, width = crop.shape[:2]
    strength = cv2.resize(heat.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)[..., None] / limit
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None] * 0.75 + 40
    opacity = 0.75 * np.minimum(np.abs(strength), 1)
    colour = np.where(strength > 0, _FORGED_RGB, _AUTHENTIC_RGB)
    return np.rint(grey * (1 - opacity) + colour * opacity).astype(np.uint8)


def hottest_place(heat: np.ndarray) -> str:
    """Where in the crop the share towards forged is largest, in words: `upper left`, `centre`, `lower right`."""
    row, column = (int(i) for i in np.unravel_index(int(np.argmax(heat)), heat.shape))
    vertical = ("upper", "", "lower")[row * 3 // heat.shape[0]]
    horizontal = ("left", "", "right")[column * 3 // heat.shape[1]]
    return f"{vertical} {horizontal}".strip() or "centre"


def jpeg(picture: np.ndarray, side: int = 224, quality: int = 85) -> str:
    """A data URI of uint8[h, w, 3] RGB, scaled to a square of `side` pixels."""
    if picture.shape[:2] != (side, side):
        picture = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return _data_uri(picture, quality)


def jpeg_whole(picture: np.ndarray, longest: int, quality: int = 85) -> str:
    """A data URI of uint8[h, w, 3] RGB, shrunk where a side is longer than `longest`, in its own proportions."""
    shrink = longest / max(picture.shape[:2])
    if shrink < 1:
        size = [max(1, round(side * shrink)) for side in picture.shape[1::-1]]
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return _data_uri(picture, quality)


def _data_uri(picture: np.ndarray, quality: int) -> str:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("OpenCV cannot encode JPEG pictures on this machine")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def legend_css() -> str:
    """The heat map's colours as a CSS gradient, from `-limit` to `limit`, over the same grey as in `overlay`."""
    grey = np.full((1, 1, 3), 128, np.uint8)
    stops = [overlay(grey, np.full((1, 1), share, np.float32), 1.0)[0, 0] for share in np.linspace(-1, 1, 9)]
    return "linear-gradient(to right, " + ", ".join(f"rgb({r} {g} {b})" for r, g, b in stops) + ")"


def _axis(forged: float | None, authentic: float | None) -> list[tuple[str, float]]:
    """Labels of the probability axis: the thresholds, spread where they would touch, and 0 and 1 if there is room."""
    low = [] if authentic is None else [(probability_text(authentic), _y(authentic))]
    high = [] if forged is None else [(probability_text(forged), _y(forged))]
    if low and high and low[0][1] - high[0][1] < _LABEL_GAP:
        middle = (low[0][1] + high[0][1]) / 2
        low, high = [(low[0][0], middle + _LABEL_GAP / 2)], [(high[0][0], middle - _LABEL_GAP / 2)]
    ends = [("1", 0.0), ("0", float(_HEIGHT))]
    return low + high + [end for end in ends if all(abs(end[1] - y) >= _LABEL_GAP for _, y in low + high)]


def _y(probability: float) -> float:
    return (1 - probability) * _HEIGHT


def _anchor(x: float, margin: float = 0.15) -> str:
    return "start" if x < margin else "end" if x > 1 - margin else "middle"


def _rect(kind: str, left: float, right: float, y: float, height: float) -> str:
    return f'<rect class="{kind}" x="{left:.2%}" width="{max(right - left, 0):.2%}" y="{y}" height="{height}"/>'


def _text(text: str, x: float, y: float, anchor: str, kind: str = "label") -> str:
    return f'<text class="{kind}" x="{x:.2%}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(name: str, height: float, parts: list[str], kind: str) -> Markup:
    head = f'<svg class="{kind}" width="100%" height="{height:g}" role="img" aria-label="{escape(name)}">'
    return Markup(head + "".join(parts) + "</svg>")  # every part is made of numbers and escaped text
