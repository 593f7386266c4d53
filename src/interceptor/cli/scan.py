"""`interceptor scan`."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interceptor.cli.options import (
    Format,
    FrameCount,
    ModelsFolder,
    OutputFormat,
    Rate,
    SpecialistChoice,
    TierOption,
    Tiers,
    say_damaged,
)
from interceptor.console import progress_bars, say, stdout, usage

if TYPE_CHECKING:
    from interceptor.detect.result import ScanResult
    from interceptor.detect.scan import Scanner


def scan(
    paths: Annotated[
        list[str], typer.Argument(help="Files, globs, or folders: searched through, hidden files and text left out.")
    ],
    output: OutputFormat = Format.text,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the results to this JSON file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a report: a .html file, or a folder of pages.")] = None,
    frames: FrameCount = 32,
    fpr: Rate = 0.05,
    tier: TierOption = Tiers.standard,
    specialists: SpecialistChoice = "auto",
    models: ModelsFolder = None,
) -> None:
    """Scan videos and pictures: is a face in them forged, was something copied within a picture?

    Exit status: 0 if all files were scanned, 1 if some failed, 2 for wrong usage.
    """
    from interceptor.detect.router import parse_choice
    from interceptor.detect.scan import Scanner
    from interceptor.report.files import ReportError, check_file, check_target, write_json
    from interceptor.report.html import write_html
    from interceptor.runtime.weights import WeightError

    files = once(expand(paths))
    with usage(ValueError, ReportError, WeightError):
        if not files:
            raise ValueError(f"nothing to scan in {', '.join(paths)}")
        if html is not None:
            _check_overwrites(html, files)
            check_target(html, several=len(files) > 1)
        if json_file is not None:
            _check_overwrites(json_file, files)
            check_file(json_file)
        scanner = Scanner(
            frames=frames,
            fpr=fpr,
            tier=tier.value,
            specialists=parse_choice(specialists),
            models=models,
            evidence=html is not None,
        )
    say_damaged(scanner.errors)
    if scanner.remark is not None:
        say(f"note: {scanner.remark}", style="yellow")
    failed = False
    kept: list[ScanResult] = []

    def noted() -> Iterator[ScanResult]:
        nonlocal failed
        for result in _scan_each(files, scanner, output):
            failed |= result.verdict == "error"
            if json_file is not None:
                kept.append(result.model_copy(update={"evidence": {}, "picture_evidence": None}))
            yield result

    results, unwritten = noted(), None
    if html is not None:
        try:
            write_html(results, html, scanner.screen.card)
            say(f"report: {html}")
        except ReportError as error:
            unwritten = error
    for _ in results:  # all of them where no report is asked for, the rest after one that could not be written
        pass
    with usage(ReportError):
        if json_file is not None:
            write_json(kept, json_file)
        if unwritten is not None:
            raise unwritten
    raise typer.Exit(1 if failed else 0)


def expand(paths: list[str]) -> Iterator[Path]:
    """Files as they are, folders searched through, globs resolved. What is not there stays: the scan says so."""
    from interceptor.datasets.listing import media_files

    for text in paths:
        matches = [text]
        if glob.has_magic(text) and not os.path.lexists(text):
            matches = sorted(glob.glob(text, recursive=True)) or [text]  # noqa: PTH207 (pathlib: no absolute patterns)
        for match in matches:
            if os.path.isdir(match):  # noqa: PTH112 (pathlib raises where a folder above cannot be entered)
                yield from media_files([Path(match)])
            else:
                yield Path(match)


def once(files: Iterable[Path]) -> list[Path]:
    """Each file a single time, in the order of their first mention; says which were named again. A link is a name of
    its own.
    """
    kept: dict[str, Path] = {}
    for file in files:
        name = os.path.abspath(file)  # noqa: PTH100 (pathlib would keep "..")
        if name in kept:
            say(f"{file}: named more than once, looked at once", style="yellow")
        kept.setdefault(name, file)
    return list(kept.values())


def _check_overwrites(target: Path, files: list[Path]) -> None:
    """Raises `ValueError` where writing `target` would destroy a file to scan."""
    if os.path.realpath(target) in {os.path.realpath(file) for file in files}:
        raise ValueError(f"{target}: is one of the files to scan; write the results somewhere else")


def _scan_each(files: list[Path], scanner: Scanner, output: Format) -> Iterator[ScanResult]:
    """Scan one file after another, print each result at once, and hand it on."""
    from interceptor.report.files import json_line
    from interceptor.report.text import render_text

    text = stdout()
    with progress_bars() as progress:
        task = progress.add_task("scanning", total=len(files))
        for file in files:
            progress.update(task, description=f"scanning {file.name[:40]!r}")
            known = len(scanner.errors)
            result = scanner.scan(file)
            progress.stop()  # the bar leaves the screen while something else is written there
            say_damaged(scanner.errors[known:])  # full networks that cannot be run, which is found when one is needed
            if output is Format.json:
                sys.stdout.write(json_line(result) + "\n")
                sys.stdout.flush()
            else:
                text.print(render_text(result))
            progress.start()
            progress.advance(task)
            yield result
