"""What the commands on pictures share: one picture after the other, bad ones named and passed over."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interceptor.cli.scan import expand, once
from interceptor.console import say

if TYPE_CHECKING:
    import numpy as np

PicturePaths = Annotated[
    list[str],
    typer.Argument(
        help="Pictures, globs, or folders: searched through, hidden files and text left out (.csv, .html, .json, .md, "
        ".txt). What else is no picture is named as an error; the rest is done."
    ),
]


def picture_paths(paths: list[str]) -> list[Path]:
    """The files that paths, folders and globs name, each once. Raises `ValueError` where there are none."""
    files = once(expand(paths))
    if not files:
        raise ValueError(f"no pictures in {', '.join(paths)}")
    return files


class Stills:
    """Pictures read one after the other. One that cannot be read is named on standard error, and on standard output by
    the line that `error_line(file, cause, message)` gives; `failed` lists those.
    """

    def __init__(
        self, files: list[Path], error_line: Callable[[Path, str, str], str] | None, advance: Callable[[], None]
    ) -> None:
        self.files = files
        self.failed: list[Path] = []
        self._error_line, self._advance = error_line, advance

    def __iter__(self) -> Iterator[tuple[Path, np.ndarray]]:
        from interceptor.media import MediaError, read_still

        for file in self.files:
            try:
                rgb = read_still(file)
            except MediaError as error:
                self.fail(file, error.cause, error.message)
            else:
                yield file, rgb
            self._advance()

    def fail(self, file: Path, cause: str, message: str) -> None:
        self.failed.append(file)
        say(f"error: {file}: {message}", style="red")
        if self._error_line is not None:
            print_line(self._error_line(file, cause, message))


def print_line(text: str) -> None:
    """At once, so that a program that reads along need not wait."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
