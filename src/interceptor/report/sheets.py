"""What a specialist sees, as a picture for people: the face, then the three channels of its lens."""

from __future__ import annotations

import textwrap

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from interceptor.lenses import Lens

PANEL = 448
"""Side of a panel: two pixels for each of the lens."""
GAP, MARGIN = 28, 48
INK, FADED, PAPER, LINE = (24, 28, 34), (104, 112, 122), (250, 250, 248), (214, 216, 220)
MARK = (150, 156, 166)
LINE_CHARACTERS = 168

_ENDS = {
    "grey": ((0, 0, 0), (128, 128, 128), (255, 255, 255)),
    "red": ((12, 6, 6), (190, 40, 36), (255, 224, 216)),
    "green": ((6, 12, 6), (36, 140, 60), (224, 255, 220)),
    "blue": ((6, 6, 14), (44, 86, 200), (220, 232, 255)),
}
_SIGNED = ((16, 58, 120), (92, 150, 206), (247, 247, 245), (224, 132, 96), (130, 24, 36))
"""Blue, white, red: the diverging map of Brewer."""
_TICKS = {
    "signed": ("less", "none", "more"),
    "amount": ("none", "", "much"),
    "grey": ("dark", "", "bright"),
}


def sheet(lens: Lens, face: np.ndarray, seen: np.ndarray, title: str) -> Image.Image:
    """The sheet of one crop.

    `face` is uint8[224, 224, 3] RGB, `seen` float32[3, 224, 224] what `lens` makes of it, `title` says which file,
    face and moment.
    """
    lines = textwrap.wrap(lens.reading, LINE_CHARACTERS)
    width = 2 * MARGIN + 4 * PANEL + 3 * GAP
    top = MARGIN + 92
    height = top + PANEL + 92 + 30 * len(lines) + MARGIN
    page = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(page)
    code = _font(54)
    draw.text((MARGIN, MARGIN - 6), lens.code.upper(), INK, font=code)
    draw.text((MARGIN + draw.textlength(lens.code.upper(), code) + 24, MARGIN + 14), lens.name, FADED, font=_font(34))
    draw.text((width - MARGIN, MARGIN + 22), title, FADED, font=_font(24), anchor="ra")
    pictures = [face, *(coloured(values, channel.kind) for channel, values in zip(lens.channels, seen, strict=True))]
    for number, (name, picture) in enumerate(
        zip(["the face", *(c.name for c in lens.channels)], pictures, strict=True)
    ):
        left = MARGIN + number * (PANEL + GAP)
        page.paste(Image.fromarray(cv2.resize(picture, (PANEL, PANEL), interpolation=cv2.INTER_NEAREST)), (left, top))
        draw.rectangle((left - 1, top - 1, left + PANEL, top + PANEL), outline=LINE)
        draw.text((left, top + PANEL + 14), name, INK, font=_font(26))
        if number and lens.span:
            _marks(draw, lens.span, left, top)
        if number:
            _scale(page, lens.channels[number - 1].kind, left, top + PANEL + 54)
    for number, line in enumerate(lines):
        draw.text((MARGIN, top + PANEL + 108 + 30 * number), line, FADED, font=_font(23))
    return page


def coloured(values: np.ndarray, kind: str) -> np.ndarray:
    """float32[H, W], -1..1, to uint8[H, W, 3] RGB by the colours of its `kind` (`Channel.kind`)."""
    return _colours(kind)[np.clip((values + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8)]


def _colours(kind: str) -> np.ndarray:
    """uint8[256, 3] RGB."""
    if kind == "amount":
        ramp = np.arange(256, dtype=np.uint8)[:, None]
        return cv2.applyColorMap(ramp, cv2.COLORMAP_INFERNO)[:, 0, ::-1]
    stops = np.array(_SIGNED if kind == "signed" else _ENDS[kind], np.float64)
    at = np.linspace(0, 255, len(stops))
    return np.stack([np.interp(np.arange(256), at, stops[:, c]) for c in range(3)], 1).astype(np.uint8)


def _marks(draw: ImageDraw.ImageDraw, span: float, left: int, top: int) -> None:
    """A line each half second, the same in all panels, so that the eye can go from one to the next."""
    for half in range(1, int(2 * span) + 1):
        x = left + round(half / 2 / span * PANEL)
        for y in range(top, top + PANEL, 12):
            draw.line((x, y, x, y + 3), MARK)


def _scale(page: Image.Image, kind: str, left: int, top: int) -> None:
    """A colour bar with what its ends mean."""
    draw = ImageDraw.Draw(page)
    page.paste(Image.fromarray(_colours(kind)[None]).resize((PANEL, 8)), (left, top))
    places = (left, left + PANEL // 2, left + PANEL)
    for word, place, anchor in zip(_TICKS.get(kind, ("none", "", "full")), places, ("la", "ma", "ra"), strict=True):
        draw.text((place, top + 14), word, FADED, font=_font(18), anchor=anchor)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
