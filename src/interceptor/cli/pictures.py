"""`interceptor match`: what was copied from where."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interceptor.cli.options import Format, OutputFormat
from interceptor.cli.stills import PicturePaths, Stills, picture_paths, print_line
from interceptor.console import progress_bars, stdout, usage

if TYPE_CHECKING:
    import numpy as np

    from interceptor.detect.copymove import Match


def match(
    paths: PicturePaths,
    across: Annotated[bool, typer.Option("--across", help="Also compare the pictures with one another.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for a PNG of every picture in which something is found.")
    ] = None,
    output: OutputFormat = Format.text,
) -> None:
    """Find what was copied from where in pictures (copy-move). States facts, no verdict."""
    from interceptor.detect.copymove import match as match_within
    from interceptor.detect.copymove import match_across

    with usage(ValueError, OSError):
        files = picture_paths(paths)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
    read: list[Path] = []
    pictures: list[np.ndarray] = []
    with progress_bars() as progress:
        task = progress.add_task("matching", total=len(files))
        stills = Stills(files, _error if output is Format.json else None, lambda: progress.advance(task))
        for file, rgb in stills:
            found = match_within(rgb)
            _print_one(file, rgb, found, output)
            if out is not None and found:
                _write(out, f"{len(read):03d}_{file.stem}", [rgb], found)
            read.append(file)
            if across:
                pictures.append(rgb)
    if across:
        found = match_across(pictures)
        _print_across(read, found, output)
        if out is not None:
            for pair, group in groupby(sorted(found, key=_files), key=_files):
                name = "across_" + "_".join(f"{i:03d}_{read[i].stem}" for i in pair)
                _write(out, name, [pictures[i] for i in pair], [_as_pair(one) for one in group])
    raise typer.Exit(1 if stills.failed else 0)


def _error(file: Path, cause: str, message: str) -> str:
    return json.dumps({"path": str(file), "error": {"cause": cause, "message": message}})


def _files(found: Match) -> tuple[int, int]:
    return found.source_file, found.copy_file


def _as_pair(found: Match) -> Match:
    from dataclasses import replace

    return replace(found, source_file=0, copy_file=1)


def _print_one(file: Path, rgb: np.ndarray, found: Sequence[Match], output: Format) -> None:
    if output is Format.json:
        height, width = rgb.shape[:2]
        _print_json({"path": str(file), "width": width, "height": height, "matches": [_facts(one) for one in found]})
        return
    console = stdout()
    console.print(f"{file}: {_count(found)}", markup=False, highlight=False)
    for one in found:
        console.print(f"  {_line(one)}", markup=False, highlight=False)


def _print_across(files: Sequence[Path], found: Sequence[Match], output: Format) -> None:
    named = [(str(files[one.source_file]), str(files[one.copy_file]), one) for one in found]
    if output is Format.json:
        facts = [{"source_path": a, "target_path": b, **_facts(one)} for a, b, one in named]
        _print_json({"across": len(files), "matches": facts})
        return
    console = stdout()
    console.print(f"across {len(files)} pictures: {_count(found)}", markup=False, highlight=False)
    for source, copy, one in named:
        console.print(f"  {source} and {copy}: {_line(one)}", markup=False, highlight=False)


def _facts(one: Match) -> dict[str, Any]:
    from interceptor.detect.picture import copied_pair

    return copied_pair(one).model_dump(mode="json")


def _count(found: Sequence[Match]) -> str:
    if not found:
        return "nothing found"
    return f"{len(found)} {'region' if len(found) == 1 else 'regions'} found twice"


def _line(one: Match) -> str:
    from interceptor.detect.picture import copied_pair
    from interceptor.report.text import copied_text

    return copied_text(copied_pair(one))


def _print_json(facts: dict[str, Any]) -> None:
    print_line(json.dumps(facts))


def _write(out: Path, name: str, pictures: Sequence[np.ndarray], found: Sequence[Match]) -> None:
    from PIL import Image

    from interceptor.report.matches import draw_matches

    with usage(OSError):
        Image.fromarray(draw_matches(pictures, found)).save(out / f"{name}.png")
