"""What several commands share: options, and how results are printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from interceptor.console import say, stdout
from interceptor.lenses import LENSES

CODES = ", ".join(LENSES)
"""Of all specialists, for help texts."""


class Format(StrEnum):
    text = "text"
    json = "json"


class Tiers(StrEnum):
    fast = "fast"
    standard = "standard"
    full = "full"


FrameCount = Annotated[int, typer.Option(min=1, help="Frames sampled over the whole length.")]
Rate = Annotated[float, typer.Option(help="False-alarm rate that the verdicts are meant to keep, 0.001 to 0.3.")]
TierOption = Annotated[
    Tiers,
    typer.Option(
        "--tier",
        help="What judges a face: a small network (fast), screen and standard specialists (standard), or also the "
        "full specialists that are installed (full).",
    ),
]
SpecialistChoice = Annotated[
    str,
    typer.Option(
        "--specialists",
        help="Which specialists run, standard and full ones alike: auto, all, none, or codes such as ll,cm. Those not "
        "named stay silent in both; the fast tier has none.",
    ),
]
ModelsFolder = Annotated[
    Path | None,
    typer.Option("--models", help="Folder of full specialists; INTERCEPTOR_MODELS names it otherwise."),
]
OutputFormat = Annotated[Format, typer.Option("--format", help="What goes to standard output.")]


@contextmanager
def training_extra() -> Iterator[None]:
    """Within it, a missing package of the training extra ends the command with a word on how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        say(f"error: {error.name} is not installed; training needs: pip install 'interceptor[train]'", style="red")
        raise typer.Exit(2) from None


def print_found(found: dict[str, Any], output: Format) -> None:
    """One JSON line, or a line for each key."""
    if output is Format.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    console = stdout()
    for key, value in found.items():
        console.print(
            f"{key}: {json.dumps(value, indent=2) if isinstance(value, dict | list) else value}", markup=False
        )


def say_damaged(messages: Iterable[str]) -> None:
    """Tell of files of specialists that are of no use to a scan."""
    for message in messages:
        say(f"{message}; scanning without it", style="yellow")
