"""The page of a training run, self-contained: curves, confusion matrix, reliability, worst errors."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from interceptor.report.files import write_atomically

PAGE = "run.html"
_HEIGHT: Final = 180
_LABELS: Final = 12
"""Most epochs that are numbered below a curve."""
_CURVES: Final = (
    ("Training loss, {loss}", (("train_loss", "training"),), None),
    ("Cross-entropy on validation", (("loss", "validation"),), None),
    ("AUC on validation", (("auc", "AUC"),), (0.5, 1.0)),
    (
        "Accuracy at a probability of .5",
        (("accuracy_authentic", "authentic"), ("accuracy_forged", "forged")),
        (0.0, 1.0),
    ),
)


@dataclass
class WorstError:
    picture: str
    truth: str
    method: str
    probability: float
    key: str


def write_run_page(folder: Path) -> None:
    """Write `run.html` beside the `run.json` of a training run, and again after each epoch. Raises `ReportError`."""
    card = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    write_atomically(folder / PAGE, render_run(card, folder))


def render_run(card: dict[str, Any], folder: Path) -> str:
    """The page of `card`; pictures are read below `folder`."""
    best = card.get("best")
    curves = [(title.format(loss=card["recipe"]["loss"]), series, limits) for title, series, limits in _CURVES]
    environment = Environment(
        loader=PackageLoader("interceptor.report", "templates"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("run.html.j2").render(
        card=card,
        best=best,
        curves=[
            (title, [name for _, name in series], curve(title, card["history"], series, limits))
            for title, series, limits in curves
        ],
        reliability=reliability(best["reliability"]) if best else None,
        worst=[_worst(error, folder) for error in best["worst"]] if best else [],
        recipe=[(key, json.dumps(value)) for key, value in sorted(card["recipe"].items())],
    )


def curve(
    title: str,
    history: list[dict[str, Any]],
    series: tuple[tuple[str, str], ...],
    limits: tuple[float, float] | None,
) -> Markup:
    """Values over the epochs as SVG, below them the chunks, or where there is but one its epochs. `limits` of the
    vertical axis; 0 to the largest value where there are none.
    """
    values = [entry[key] for entry in history for key, _ in series]
    low, high = limits or (0.0, max(values, default=1.0) or 1.0)
    low = min([low, *values])

    def across(number: int) -> str:
        return f"{(number + 0.5) / max(len(history), 1):.2%}"

    def place(number: int, value: float) -> tuple[str, float]:
        return across(number), _HEIGHT * (1 - (value - low) / ((high - low) or 1))

    parts = []
    for kind, (key, name) in enumerate(series):
        points = [(place(i, entry[key]), entry) for i, entry in enumerate(history)]
        for (first, _), (second, _) in pairwise(points):
            parts.append(
                f'<line class="s{kind}" x1="{first[0]}" y1="{first[1]:.1f}" x2="{second[0]}" y2="{second[1]:.1f}"/>'
            )
        for (x, y), entry in points:
            note = escape(f"{name}, {entry['chunk']}, epoch {entry['epoch']}: {entry[key]:.4f}")
            parts.append(f'<circle class="s{kind}" cx="{x}" cy="{y:.1f}" r="4"><title>{note}</title></circle>')
    for value, y in ((high, 0), (low, _HEIGHT)):
        parts.append(f'<text class="tick" x="-6" y="{y + 4}" text-anchor="end">{value:.2f}</text>')
    firsts = [i for i, entry in enumerate(history) if not i or entry["chunk"] != history[i - 1]["chunk"]]
    if len(firsts) > 1:
        below = [(i, history[i]["chunk"].removeprefix("chunk ")) for i in firsts]
    else:
        below = [(i, history[i]["epoch"]) for i in range(0, len(history), len(history) // _LABELS + 1)]
    parts += [
        f'<text class="tick" x="{across(i)}" y="{_HEIGHT + 18}" text-anchor="middle">{escape(text)}</text>'
        for i, text in below
    ]
    names = " and ".join(name for _, name in series)
    return _svg(f"{escape(title)}: {escape(names)} over {len(history)} epochs", parts)


def reliability(bins: list[list[float]]) -> Markup:
    """How often forgeries are met (upwards) where a probability is given (to the right); on the line both agree."""
    parts = [f'<line class="even" x1="0%" y1="{_HEIGHT}" x2="100%" y2="0"/>']
    for given, met, count in bins:
        note = f"given {given:.2f}, met {met:.2f}, {count:.0f} samples"
        y = _HEIGHT * (1 - met)
        parts.append(f'<circle class="s0" cx="{given:.2%}" cy="{y:.1f}" r="5"><title>{note}</title></circle>')
    for share in (0.0, 0.5, 1.0):
        y = _HEIGHT * (1 - share)
        parts.append(f'<text class="tick" x="-6" y="{y + 4}" text-anchor="end">{share:g}</text>')
        parts.append(f'<text class="tick" x="{share:.0%}" y="{_HEIGHT + 18}" text-anchor="middle">{share:g}</text>')
    return _svg("Share of forgeries over the probability given", parts)


def _svg(name: str, parts: list[str]) -> Markup:
    head = f'<svg width="100%" height="{_HEIGHT}" role="img" aria-label="{name}">'
    return Markup(head + "".join(parts) + "</svg>")  # every part is made of numbers and escaped text


def _worst(error: dict[str, Any], folder: Path) -> WorstError:
    data = base64.b64encode((folder / error["file"]).read_bytes()).decode("ascii")
    return WorstError(
        f"data:image/jpeg;base64,{data}", error["truth"], error["method"], error["probability"], error["key"]
    )
