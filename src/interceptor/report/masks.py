"""What was measured of a localisation, as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from interceptor.report.text import count, printable

ROWS = (
    ("forged pictures", ("f1", "iou", "precision", "recall", "ap", "auc")),
    ("authentic pictures", ("false_alarm_rate", "false_alarm_rate_over_0.1_percent", "false_area")),
    ("all pictures", ("of1", "pixel_ece")),
)
OF_PICTURES = ("auc", "balanced_accuracy", "ece")


def masks_text(found: dict[str, Any]) -> str:
    """Tables of what `evaluate_masks` measured, and everything that could not be measured."""
    coverage, intervals, small = found["coverage"], found["intervals"], found["small"]
    lines = [
        f"{count(found['n_forged'], 'forged picture')}, {found['n_authentic']} authentic;"
        f" {coverage['scored']} of {coverage['pictures']} measured"
    ]
    for title, names in ROWS:
        table = [(name, _number(found[name]), _interval(intervals.get(name))) for name in names]
        if title == "forged pictures":
            table += [
                (f"{name}, the {small['n']} under 2 %", _number(small[name]), _interval(intervals[f"small.{name}"]))
                for name in ("f1", "recall")
            ]
        lines += ["", f"{title} (95 % interval)", *_table(table)]
    picture = found["picture"]
    lines += ["", "pictures as a whole", *_table([(name, _number(picture[name])) for name in OF_PICTURES])]
    if found["by_area"]:
        rows = [
            (f"{row['area'][0]:.2%} to {row['area'][1]:.2%}", row["n"], *map(_number, (row["f1"], row["recall"])))
            for row in found["by_area"]
        ]
        lines += ["", "by forged share", *_table([("share", "n", "f1", "recall"), *rows])]
    columns = ("n_forged", "f1", "iou", "recall", "n_authentic", "false_alarm", "false_area")
    rows = [(printable(kind), *(_number(row[name]) for name in columns)) for kind, row in found["by_kind"].items()]
    lines += ["", "by kind", *_table([("folder", *columns), *rows])]
    lines.append("")
    if found.get("peak_memory_mb") is not None:  # the localizer's own predictions
        lines.append(f"{found['seconds']:.2f} s a picture (median), {found['peak_memory_mb']:.0f} MB at most")
    lines += [f"not measured: {printable(each['path'])}: {printable(each['message'])}" for each in found["failed"]]
    lines += [f"mask without a picture: {printable(path)}" for path in found["masks_without_picture"]]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.3f}"


def _interval(value: Sequence[float] | None) -> str:
    return "" if value is None else f"{value[0]:.3f} to {value[1]:.3f}"


def _table(rows: Sequence[Sequence[object]]) -> list[str]:
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    return [
        "  " + "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
