"""`interceptor train localizer ...` and `mine ...`: how localizers are made."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interceptor.cli.group import Group
from interceptor.cli.options import Format, OutputFormat, print_found, training_extra
from interceptor.console import command_line, progress_bars, say, training_report, usage

if TYPE_CHECKING:
    from interceptor.training.localizers.data import Source
    from interceptor.training.localizers.full import FullRun
    from interceptor.training.localizers.trainer import LocalizerRun

Report = Callable[[str, int, int, str], None]

mine = typer.Typer(cls=Group, no_args_is_help=True, help="List what a localizer gets wrong, for others to learn from.")


def train_localizer(
    members: Annotated[list[str] | None, typer.Argument(help="Members to train; all of the tier by default.")] = None,
    tier: Annotated[str, typer.Option(help="standard: decoders on the foundation's tokens; full: networks.")] = (
        "standard"
    ),
    authentic: Annotated[
        list[str] | None, typer.Option(help="KIND=DIR of authentic pictures to forge from; repeat.")
    ] = None,
    labels: Annotated[list[str] | None, typer.Option(help="KIND=DIR of their instance labels, same names.")] = None,
    edited: Annotated[list[str] | None, typer.Option(help="KIND=IMAGES:MASKS of pictures forged by others.")] = None,
    group: Annotated[
        str | None, typer.Option(help="Pattern in the names of edited pictures: same match, same split.")
    ] = None,
    data: Annotated[list[str] | None, typer.Option(help="LAYOUT=ROOT of a public set (docs/masks.md); repeat.")] = None,
    leave_out: Annotated[list[str] | None, typer.Option(help="KIND that is not trained on, for the test.")] = None,
    val: Annotated[float, typer.Option(min=0, max=0.5, help="Share of pictures for validation.")] = 0.12,
    test: Annotated[float, typer.Option(min=0, max=0.5, help="Share of pictures kept out for the test.")] = 0.3,
    init: Annotated[
        str | None,
        typer.Option(help="standard: the foundation's base file. full: the encoder's weights, `hub` or `none`."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run, which goes on; runs/localizer or runs/localizer_full.")
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value of the recipe.")] = None,
) -> None:
    """Train localizers: pictures (or their tokens) are made once, then each member learns from them."""
    with training_extra():
        from interceptor.training.checkpoints import CheckpointError
        from interceptor.training.localizers.sources import layout_sources
    chosen = [f"members={','.join(members)}"] if members else []

    def told(path: Path, cause: str) -> None:
        say(f"left out: {path}: {cause}", style="yellow")

    with usage(ValueError, CheckpointError, OSError), progress_bars() as progress:
        sources = _folders(authentic or [], labels or [], edited or [], group, leave_out or [], (val, test), told)
        for name, root in (_named(text) for text in data or []):
            sources += layout_sources(name, Path(root), (val, test), told)
        if not sources:
            raise ValueError("nothing to train on: give --authentic, --edited or --data")
        run = _run(tier, init, sources, out, [*chosen, *(settings or [])], training_report(progress))
        run.command = command_line(sys.argv[1:])
        card = run.run()
    found = {name: member["validation"] for name, member in card.items()} if tier == "full" else card["validation"]
    print_found({"out": str(run.out), "validation": found}, Format.text)


def export_localizer(
    run: Annotated[Path, typer.Argument(help="Folder of a finished training run.")],
    out: Annotated[Path, typer.Option(help="Folder for the files; a base already there is kept.")],
    init: Annotated[
        Path | None, typer.Option(help="The base file that a run of the standard tier started from.")
    ] = None,
    alarms: Annotated[
        Path | None,
        typer.Option(help="Folder KIND/authentic of pictures kept out: how many are called forged goes into the card."),
    ] = None,
) -> None:
    """Write a run's members as ONNX with their card: one file over the base, or one for each network."""
    with training_extra():
        from interceptor.detect.localize import Localizer
        from interceptor.evaluation.alarms import false_alarms
        from interceptor.media import MediaError
        from interceptor.training.checkpoints import CheckpointError, write_json
        from interceptor.training.localizers.card import export_localizer
        from interceptor.training.localizers.full import FullRun
        from interceptor.training.localizers.full_export import export_full
    with usage(ValueError, CheckpointError, MediaError, OSError), progress_bars() as progress:
        opened = _opened(run, training_report(progress))
        if isinstance(opened, FullRun):
            tier, files = "full", export_full(opened, out)
        else:
            tier, files = "standard", export_localizer(run, init or opened.base, out)
        if alarms is not None:
            task = progress.add_task("false alarms")
            counted = false_alarms(
                Localizer(out, tier=tier),
                alarms,
                lambda done, total: progress.update(task, completed=done, total=total),
            )
            card = json.loads(files[-1].read_text(encoding="utf-8"))
            write_json(files[-1], card | {"false_alarms": counted})
    print_found({file.name: f"{file.stat().st_size / 1e6:.2f} MB" for file in files}, Format.text)


@mine.command("negatives")
def mine_negatives(run: Path, out: Path | None = None, output: OutputFormat = Format.text) -> None:
    """List authentic training samples of RUN on which its base member fires."""
    _mine("negatives", run, out, output)


@mine.command("misses")
def mine_misses(run: Path, out: Path | None = None, output: OutputFormat = Format.text) -> None:
    """List forged training samples of RUN of which its base member finds less than half."""
    _mine("misses", run, out, output)


def _mine(what: str, folder: Path, out: Path | None, output: Format) -> None:
    with training_extra():
        from interceptor.training.checkpoints import CheckpointError
    with usage(ValueError, CheckpointError, OSError), progress_bars() as progress:
        run = _opened(folder, training_report(progress))
        file = out or folder / f"{what}.csv"
        found = {"list": str(file), "samples": run.mine(what, file)}
    print_found(found, output)


def _opened(folder: Path, report: Report) -> LocalizerRun | FullRun:
    """The run in a folder. Raises `CheckpointError`."""
    from interceptor.training.localizers.run import opened

    tier, settings, sources = opened(folder)
    return _run(tier, None, sources, folder, [f"{key}={value}" for key, value in settings.items()], report)


def _run(
    tier: str,
    init: str | None,
    sources: list[Source],
    out: Path | None,
    settings: list[str],
    report: Report,
) -> LocalizerRun | FullRun:
    """The run of a tier. Raises `ValueError` for another tier."""
    from interceptor.training.localizers.full import HUB, FullRecipe, FullRun
    from interceptor.training.localizers.trainer import LocalizerRun, Recipe
    from interceptor.training.screen import override

    if tier == "full":
        return FullRun(
            init or HUB, sources, out or Path("runs/localizer_full"), override(FullRecipe(), settings), report
        )
    if tier != "standard":
        raise ValueError(f"no tier {tier!r}; choose from standard, full")
    folder = out or Path("runs/localizer")
    base = folder / "tokens" / "foundation.safetensors" if init is None else Path(init)
    return LocalizerRun(base, sources, folder, override(Recipe(), settings), report)


def _folders(
    authentic: list[str],
    labels: list[str],
    edited: list[str],
    group: str | None,
    leave_out: list[str],
    shares: tuple[float, float],
    told: Callable[[Path, str], None],
) -> list[Source]:
    """The pictures of plain folders. Raises `ValueError`."""
    from interceptor.training.localizers.sources import authentic_sources, edited_sources

    objects = dict(_named(text) for text in labels)
    kinds = [_named(text) for text in authentic]
    if unknown := {*objects, *leave_out} - {kind for kind, _ in kinds}:
        raise ValueError(f"no --authentic pictures of the kind {', '.join(sorted(unknown))}")
    sources: list[Source] = []
    for kind, folder in kinds:
        labelled = Path(objects[kind]) if kind in objects else None
        sources += authentic_sources(kind, Path(folder), labelled, shares, leave_out)
    for kind, folders in (_named(text) for text in edited):
        images, _, masks = folders.partition(":")
        sources += edited_sources(kind, Path(images), Path(masks), shares, told, group)
    return sources


def _named(text: str) -> tuple[str, str]:
    """KIND=REST in two. Raises `ValueError`."""
    kind, equals, rest = text.partition("=")
    if not (kind and equals and rest):
        raise ValueError(f"{text!r}: expected KIND=...")
    return kind, rest
