"""`interceptor evidence`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interceptor.cli.options import Format, OutputFormat
from interceptor.cli.stills import PicturePaths, Stills, picture_paths, print_line
from interceptor.console import progress_bars, stdout, usage


def evidence(
    paths: PicturePaths,
    out: Annotated[Path, typer.Option(help="Folder for the maps, one PNG each.")],
    output: OutputFormat = Format.text,
) -> None:
    """Classical evidence about pictures, as maps to look at: no verdict."""
    from interceptor.detect.evidence import gather_evidence
    from interceptor.report.evidence import error_json, evidence_json, write_map
    from interceptor.report.files import ReportError, check_target, page_name
    from interceptor.report.text import printable

    text, taken = stdout(), set[str]()
    with usage(ReportError, ValueError), progress_bars() as progress:
        files = picture_paths(paths)
        check_target(out, several=True)
        task = progress.add_task("looking", total=len(files))
        stills = Stills(files, error_json if output is Format.json else None, lambda: progress.advance(task))
        for file, rgb in stills:
            found = gather_evidence(file, rgb)
            stem, maps = page_name(str(file), taken).removesuffix(".html"), {}
            for item in found:
                if item.values is not None:
                    maps[item.name] = out / f"{stem}.{item.name}.png"
                    write_map(rgb, item, maps[item.name])
            if output is Format.json:
                print_line(evidence_json(file, found, maps))
                continue
            text.print(printable(str(file)), markup=False, highlight=False)
            for item in found:
                text.print(printable(f"  {item.name}: {item.caption}"), markup=False, highlight=False)
    raise typer.Exit(1 if stills.failed else 0)
