"""`interceptor audit ...`: is what models learn from sound?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interceptor.cli.options import Format, OutputFormat, print_found
from interceptor.console import progress_bars, usage

audit = typer.Typer(no_args_is_help=True, help="Check what models learn from.")


@audit.callback()
def _group() -> None:
    """Check what models learn from."""


@audit.command("forge")
def audit_forge_command(
    name: Annotated[str, typer.Argument(help="ll, bg, av, cm, rr or tm.")],
    data: Annotated[Path, typer.Option(help="Folder with an index.csv of crops; authentic ones are used.")],
    limit: Annotated[int, typer.Option(min=20, help="Crops to forge.")] = 400,
    seed: Annotated[int, typer.Option(help="Of the forgeries and folds.")] = 0,
    output: OutputFormat = Format.text,
) -> None:
    """Tell forged crops from authentic ones by what lies outside the mask: no better than chance, or exit status 1."""
    from interceptor.datasets.crops import read_index
    from interceptor.evaluation.audit import audit_pictures
    from interceptor.forges.registry import family
    from interceptor.training import augment

    with usage(ValueError, OSError), progress_bars() as progress:
        forge, crops = family(name).forge, read_index(data)
        task = progress.add_task("forging", total=None)
        found = audit_pictures(
            forge,
            crops,
            augment.draw,
            limit=limit,
            seed=seed,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    print_found({"forge": name, **found}, output)
    if not found["passed"]:
        raise typer.Exit(1)
