"""`interceptor audit ...`: do models learn from what they should?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interceptor.cli.group import Group
from interceptor.cli.options import CODES, Format, OutputFormat, print_found
from interceptor.console import progress_bars, say, usage

if TYPE_CHECKING:
    from interceptor.media.clips import FaceClip

SECONDS = 5.0
"""Of each clip of talk: twice what a window takes."""

audit = typer.Typer(cls=Group, no_args_is_help=True, help="Check what models learn from.")


@audit.callback()
def _group() -> None:
    """Check what models learn from."""


@audit.command("forge")
def audit_forge_command(
    name: Annotated[str, typer.Argument(help=f"{CODES}.")],
    data: Annotated[
        Path,
        typer.Option(help="Folder with an index.csv of crops, of which authentic ones are used; for av, of clips."),
    ],
    limit: Annotated[int, typer.Option(min=20, help="Crops to forge.")] = 400,
    draws: Annotated[int, typer.Option(min=1, help="Forgeries of each clip (av).")] = 10,
    seed: Annotated[int, typer.Option(help="Of the forgeries and folds.")] = 0,
    output: OutputFormat = Format.text,
) -> None:
    """Tell forgeries from originals by what lies outside the mask, or by the sound alone: by chance, else exit 1."""
    from interceptor.datasets.crops import read_index
    from interceptor.evaluation.audit import audit_pictures, audit_sounds
    from interceptor.forges.registry import family
    from interceptor.training import augment

    with usage(ValueError, OSError), progress_bars() as progress:
        chosen = family(name)
        task = progress.add_task("forging", total=None)
        if chosen.changes == "sound":
            found = audit_sounds(chosen.forge, _talking(data), draws=draws, seed=seed)
        else:
            found = audit_pictures(
                chosen.forge,
                read_index(data),
                augment.draw,
                limit=limit,
                seed=seed,
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
    print_found({"forge": name, **found}, output)
    if not found["passed"]:
        raise typer.Exit(1)


@audit.command("pictures")
def audit_pictures_command(
    kind: Annotated[str, typer.Argument(help="copy_move, splice, removal or retouch.")],
    folder: Annotated[Path, typer.Argument(help="Folder of authentic pictures.")],
    labels: Annotated[Path | None, typer.Option(help="Folder of their instance labels, same names.")] = None,
    limit: Annotated[int, typer.Option(min=5, help="Pictures to forge.")] = 100,
    draws: Annotated[int, typer.Option(min=1, help="Forgeries of each.")] = 2,
    seed: Annotated[int, typer.Option(help="Of the forgeries and folds.")] = 0,
    output: OutputFormat = Format.text,
) -> None:
    """Tell forged pictures from their originals by what lies outside the mask: by chance, else exit 1."""
    from interceptor.evaluation.audit_forgeries import audit_forgeries, originals
    from interceptor.media import MediaError

    with usage(ValueError, OSError, MediaError), progress_bars() as progress:
        task = progress.add_task("forging", total=None)
        found = audit_forgeries(
            kind,
            originals(folder, labels)[:limit],
            draws=draws,
            seed=seed,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    print_found({"forge": kind, **found}, output)
    if not found["passed"]:
        raise typer.Exit(1)


def _talking(folder: Path) -> Iterator[tuple[str, FaceClip]]:
    """The most visible face in the middle of each clip of a folder, by its file's name."""
    from interceptor.datasets.listing import media_files
    from interceptor.detect.detector import load_detector
    from interceptor.media import MediaError, probe
    from interceptor.media.windows import cut_window

    detector = load_detector()
    for path in media_files([folder]):
        try:
            clips = cut_window(path, probe(path), detector, seconds=SECONDS, crops=1, max_faces=1).clips
        except MediaError as error:
            say(f"left out: {error}", style="yellow")
            continue
        yield from ((path.name, clip) for clip in clips)
