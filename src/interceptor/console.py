"""What the commands say beside their results: progress, remarks and errors, all on standard error."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from interceptor.report.text import printable

errors = Console(stderr=True)


@contextmanager
def usage(*kinds: type[Exception]) -> Iterator[None]:
    """Errors of these kinds are the caller's to correct: one line on standard error, exit status 2."""
    try:
        yield
    except kinds as error:
        told: object = error
        if isinstance(error, OSError) and error.filename is not None and error.strerror:
            told = f"{os.fsdecode(error.filename)}: {error.strerror}"
        say(f"error: {told}", style="red")
        raise typer.Exit(2) from None


def training_report(progress: Progress) -> Callable[[str, int, int, str], None]:
    """A bar for each stage; where there is no terminal a line for each tenth of it. Validation is always a line."""
    tasks: dict[str, Any] = {}
    tenths: dict[str, int] = {}

    def report(stage: str, done: int, total: int, note: str) -> None:
        tenth = 10 * done // max(total, 1)
        if stage == "validation" or (progress.disable and tenth > tenths.get(stage, 0)):
            tenths[stage] = tenth
            say(f"{stage} {done}/{total}: {note}")
        if stage != "validation":
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total)
            progress.update(tasks[stage], completed=done, total=total, description=f"{stage} ({note})")

    return report


def command_line(arguments: Sequence[str]) -> str:
    """The command as a card records it, paths by their last names: where its maker keeps files is nobody's affair.
    `KIND=` before a path and the `:` between two stay.
    """
    return shlex.join(["interceptor", *(re.sub(r"[^=:]*/(?=[^=:])", "", text.rstrip("/")) for text in arguments)])


def progress_bars() -> Progress:
    """Bars on standard error, gone at the end; none where that is no terminal."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # Standard output must not be redirected: it may be a file while standard error is a terminal.
    return Progress(*columns, console=errors, transient=True, redirect_stdout=False, disable=not errors.is_terminal)


def say(line: str, style: str | None = None) -> None:
    """One line on standard error, whatever characters a file name puts into it."""
    errors.print(printable(line), style=style, highlight=False, markup=False, soft_wrap=True)


def stdout() -> Console:
    """Standard output: as wide as the terminal, never wrapped where it is none."""
    return Console(width=None if sys.stdout.isatty() else 10_000)
