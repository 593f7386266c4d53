"""`interceptor ...`: parse, call, print. A file for each family of commands, assembled here."""

from __future__ import annotations

from typing import Annotated

import typer

from interceptor import __version__
from interceptor.cli import (
    ablate,
    audit,
    datasets,
    distill,
    evidence,
    lens,
    localize,
    localizers,
    make,
    masks,
    measure,
    pictures,
    scan,
    training,
)
from interceptor.cli.group import Group

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    help="Media forensics: is it forged, and what is the evidence?",
)
app.command()(scan.scan)
app.command()(pictures.match)
app.command()(localize.localize)
app.command()(localize.submit)
app.command()(evidence.evidence)
app.command()(lens.lens)
app.add_typer(measure.evaluate, name="evaluate")
app.add_typer(audit.audit, name="audit")
app.add_typer(masks.check, name="check")
app.add_typer(datasets.datasets, name="datasets")
datasets.add_sets(make.prepare)
app.add_typer(measure.calibrate, name="calibrate")
app.add_typer(make.prepare, name="prepare")
make.train.command("localizer")(localizers.train_localizer)
make.export.command("localizer")(localizers.export_localizer)
app.add_typer(make.train, name="train")
app.add_typer(localizers.mine, name="mine")
app.command()(distill.distill)
app.add_typer(make.export, name="export")
app.command()(ablate.ablate)
training.register(app, make.train, make.export)


def main() -> None:
    """The console entry point: exit status 0 (all done), 1 (some files failed) or 2 (usage)."""
    app()


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit
