"""`interceptor datasets ...` and `interceptor prepare NAME ROOT OUT`: public sets of videos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from interceptor.cli.group import Group
from interceptor.cli.options import Format, OutputFormat, print_found
from interceptor.console import progress_bars, say, stdout, training_report, usage
from interceptor.datasets.registry import SETS, read_set
from interceptor.lenses import LENSES

datasets = typer.Typer(cls=Group, no_args_is_help=True, help="Public sets of videos: look at them, make tiny ones.")

Name = Annotated[str, typer.Argument(help=f"One of {', '.join(SETS)}.")]
Root = Annotated[Path, typer.Argument(help="Folder of the set (of csv: the file).")]
Split = Annotated[str, typer.Option(help="official, where the set has a split, or seeded: made here, by people.")]
Compression = Annotated[str | None, typer.Option(help="faceforensics: raw, c23 or c40.")]
Splits = Annotated[Path | None, typer.Option(help="faceforensics: folder of train.json, val.json, test.json.")]
Chunks = Annotated[int | None, typer.Option(min=1, help="Fold the parts into so many chunks.")]
Without = Annotated[list[str] | None, typer.Option(help="Method to leave out; repeat.")]


def _choice(
    split: str, compression: str | None, splits: Path | None, chunks: int | None, without: list[str] | None
) -> Any:
    from interceptor.datasets.videos import Choice

    if split not in ("official", "seeded"):
        raise ValueError(f"--split is official or seeded, not {split!r}")
    return Choice(split, compression, splits, chunks, tuple(without or ()))


@datasets.command("check")
def check(
    name: Name,
    root: Root,
    split: Split = "official",
    compression: Compression = None,
    splits: Splits = None,
    chunks: Chunks = None,
    without: Without = None,
    opened: Annotated[bool, typer.Option("--open", help="Also open every file: a few milliseconds each.")] = False,
    output: OutputFormat = Format.text,
) -> None:
    """What is there, what is missing, labels, splits, and the proof that nobody is on two sides."""
    from interceptor.datasets.check import report, unreadable

    with usage(ValueError, OSError), progress_bars() as progress:
        table = read_set(name, root, _choice(split, compression, splits, chunks, without))
        found = report(table)
        if opened:
            task = progress.add_task("opening", total=len(table.videos))
            found["unreadable"] = unreadable(table.videos, lambda: progress.advance(task))
            found["problems"] += [f"cannot be read: {line}" for line in found["unreadable"]]
    if output is Format.json:
        print_found(found, output)
    else:
        _print(found)
    if found["problems"]:
        raise typer.Exit(1)


@datasets.command("mini")
def mini(name: Name, out: Annotated[Path, typer.Argument(help="New folder.")]) -> None:
    """A tiny valid copy of a set's layout, out of clips made here: to try the whole chain in minutes."""
    from interceptor.datasets.mini import make_mini

    with usage(ValueError, OSError), progress_bars() as progress:
        task = progress.add_task("making clips", total=None)
        try:
            count = make_mini(name, out, lambda done, total: progress.update(task, completed=done, total=total))
        except ModuleNotFoundError as error:
            raise ValueError(f"{error.name} is not installed; it needs: pip install 'interceptor[demo]'") from None
    print_found({"out": str(out), "clips": count}, Format.text)


def _print(found: dict[str, Any]) -> None:
    console = stdout()

    def line(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    line(f"{found['dataset']} in {found['root']}: {found['videos']} videos")
    for name, part in found["parts"].items():
        published = part["published"]
        line(f"  {name}: {part['found']}" + ("" if published is None else f" of {published}"))
    line(f"labels {found['label_convention']}")
    line(f"split: {found['split_rule']}")
    for side, counts in found["splits"].items():
        line(f"  {side}: {counts['authentic']} authentic, {counts['forged']} forged")
    if found["chunks"]:
        line("chunks: " + ", ".join(f"{chunk}: {count}" for chunk, count in found["chunks"].items()))
    proof = found["proof"]
    looked = f"{proof['groups']} groups, {proof['people']} people, {proof['originals']} originals"
    if proof["crossing"]:
        line(f"proof fails: of {looked}, {len(proof['crossing'])} are on more than one of {', '.join(proof['sides'])}")
    else:
        line(f"proof: of {looked}, none is on more than one of {', '.join(proof['sides'])}")
    for remark in found["remarks"]:
        line(f"note: {remark}")
    for problem in found["problems"]:
        line(f"problem: {problem}")


def add_sets(prepare: typer.Typer) -> None:
    """A command of `prepare` for each set, so that it reads `interceptor prepare NAME ROOT OUT`."""
    for name, known in SETS.items():
        prepare.command(name, help=f"Into shards for training: {known.about}.")(_prepare(name))
    prepare.command("crops")(_adopt)


def _adopt(
    root: Annotated[Path, typer.Argument(help="Folder with an index.csv of face crops, or the CSV.")],
    out: Annotated[Path, typer.Argument(help="New folder for manifest and shards.")],
    split: Split = "official",
    chunks: Chunks = None,
    without: Without = None,
    output: OutputFormat = Format.text,
) -> None:
    """Face crops that are cut already into shards for training, as they are."""
    from interceptor.datasets.adopt import adopt
    from interceptor.datasets.check import remarks

    with usage(ValueError, OSError), progress_bars() as progress:
        table = read_set("csv", root, _choice(split, None, None, chunks, without))
        for remark in remarks(table):
            say(f"note: {remark}", style="yellow")
        report = training_report(progress)
        summary = adopt(table, out, advance=lambda done, total, note: report("crops", done, total, note))
    print_found({"out": str(out), **summary}, output)


def _prepare(name: str) -> Callable[..., None]:
    def command(
        root: Root,
        out: Annotated[Path, typer.Argument(help="Folder for manifest and shards; an unfinished one goes on.")],
        split: Split = "official",
        compression: Compression = None,
        splits: Splits = None,
        chunks: Chunks = None,
        without: Without = None,
        windows: Annotated[int, typer.Option(min=1, help="Stretches of each video, evenly over it.")] = 4,
        crops: Annotated[int, typer.Option(min=1, help="Moments of each window.")] = 2,
        faces: Annotated[int, typer.Option(min=1, help="Most visible faces of each window.")] = 1,
        codes: Annotated[
            str, typer.Option("--for", help="Store what these specialists look at, codes with commas.")
        ] = ",".join(LENSES),
        workers: Annotated[int | None, typer.Option(min=1, help="Processes; all processors by default.")] = None,
        retry: Annotated[bool, typer.Option("--retry", help="Try again the videos that failed before.")] = False,
        output: OutputFormat = Format.text,
    ) -> None:
        from functools import partial

        from interceptor.datasets.check import remarks
        from interceptor.datasets.prepare import prepare
        from interceptor.datasets.samples import Sampling, views_for
        from interceptor.detect.detector import load_detector
        from interceptor.runtime.network import cpu_count
        from interceptor.runtime.weights import WeightError

        with usage(ValueError, OSError, WeightError), progress_bars() as progress:
            table = read_set(name, root, _choice(split, compression, splits, chunks, without))
            for remark in remarks(table):
                say(f"note: {remark}", style="yellow")
            report = training_report(progress)
            summary = prepare(
                table,
                out,
                Sampling(windows, crops, faces, views_for(code.strip() for code in codes.split(","))),
                partial(load_detector, threads=1),
                workers=workers or cpu_count(),
                retry=retry,
                advance=lambda done, total, note: report("videos", done, total, note),
            )
        print_found({"out": str(out), **summary}, output)
        if not summary["samples"]:
            say(f"error: {out}: no sample was made; failures.csv says why", style="red")
            raise typer.Exit(1)

    return command
