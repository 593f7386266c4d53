"""`interceptor evidence`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from interceptor.cli.options import Format, OutputFormat
from interceptor.cli.scan import expand
from interceptor.console import progress_bars, say, stdout, usage


def evidence(
    paths: Annotated[list[str], typer.Argument(help="Pictures, folders or globs.")],
    out: Annotated[Path, typer.Option(help="Folder for the maps, one PNG each.")],
    output: OutputFormat = Format.text,
) -> None:
    """Classical evidence about pictures, as maps to look at: no verdict."""
    from interceptor.detect.evidence import gather_evidence
    from interceptor.media import MediaError, read_still
    from interceptor.report.evidence import error_json, evidence_json, write_map
    from interceptor.report.files import ReportError, check_target, page_name
    from interceptor.report.text import printable

    files, text = list(expand(paths)), stdout()
    failed, taken = False, set[str]()
    with usage(ReportError, ValueError), progress_bars() as progress:
        if not files:
            raise ValueError(f"no pictures in {', '.join(paths)}")
        check_target(out, several=True)
        for file in progress.track(files, description="looking"):
            try:
                rgb = read_still(file)
                found = gather_evidence(file, rgb)
            except MediaError as error:
                failed = True
                say(f"error: {error}", style="red")
                if output is Format.json:
                    _line(error_json(file, error.cause, error.message))
                continue
            stem, maps = page_name(str(file), taken).removesuffix(".html"), {}
            for item in found:
                if item.values is not None:
                    maps[item.name] = out / f"{stem}.{item.name}.png"
                    write_map(rgb, item, maps[item.name])
            if output is Format.json:
                _line(evidence_json(file, found, maps))
                continue
            text.print(printable(str(file)), markup=False, highlight=False)
            for item in found:
                text.print(printable(f"  {item.name}: {item.caption}"), markup=False, highlight=False)
    raise typer.Exit(1 if failed else 0)


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
