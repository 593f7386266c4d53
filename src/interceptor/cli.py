"""`interceptor ...`: parse, call, print."""

from __future__ import annotations

import glob
import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from interceptor import __version__

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Media forensics: is it forged, and what is the evidence?"
)
evaluate = typer.Typer(no_args_is_help=True, help="Measure the shipped model on labelled crops or videos.")
prepare = typer.Typer(no_args_is_help=True, help="Make training data out of media.")
train = typer.Typer(no_args_is_help=True, help="Train models (needs the extra: pip install 'interceptor\\[train]').")
export = typer.Typer(no_args_is_help=True, help="Turn training runs into the files that ship.")
app.add_typer(evaluate, name="evaluate")
app.add_typer(prepare, name="prepare")
app.add_typer(train, name="train")
app.add_typer(export, name="export")

errors = Console(stderr=True)


class Format(StrEnum):
    text = "text"
    json = "json"


FrameCount = Annotated[int, typer.Option(min=1, help="Frames sampled over the whole length.")]
Rate = Annotated[float, typer.Option(help="False-alarm rate that the verdicts are meant to keep, 0.001 to 0.3.")]
OutputFormat = Annotated[Format, typer.Option("--format", help="What goes to standard output.")]


def main() -> None:
    """The console entry point: exit status 0 (all done), 1 (some files failed) or 2 (usage)."""
    app()


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def scan(
    paths: Annotated[list[str], typer.Argument(help="Files, folders or globs.")],
    output: OutputFormat = Format.text,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the results to this JSON file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a report: a .html file, or a folder of pages.")] = None,
    frames: FrameCount = 32,
    fpr: Rate = 0.05,
) -> None:
    """Scan videos and pictures: is a face in them forged?"""
    from interceptor.report.files import ReportError, check_file, check_target, json_line, write_json
    from interceptor.report.html import write_html
    from interceptor.report.text import render_text

    files = list(_expand(paths))
    with _usage(ValueError, ReportError):
        if not files:
            raise ValueError(f"nothing to scan in {', '.join(paths)}")
        if html is not None:
            check_target(html, several=len(files) > 1)
        if json_file is not None:
            check_file(json_file)
        scanner = _scanner(frames, fpr, evidence=html is not None)
    text = Console()
    results = []
    with _progress() as progress:
        task = progress.add_task("scanning", total=len(files))
        for file in files:
            progress.update(task, description=f"scanning {file.name[:40]!r}")
            result = scanner.scan(file)
            results.append(result)
            if output is Format.json:
                sys.stdout.write(json_line(result) + "\n")
                sys.stdout.flush()
            else:
                text.print(render_text(result))
            progress.advance(task)
    with _usage(ReportError):
        if json_file is not None:
            write_json(results, json_file)
        if html is not None:
            write_html(results, html, scanner.screen.card)
            errors.print(f"report: {html}", highlight=False, markup=False)
    raise typer.Exit(1 if any(result.verdict == "error" for result in results) else 0)


@evaluate.command("crops")
def evaluate_crops_command(
    index: Annotated[Path, typer.Argument(help="CSV with columns path,label (1 = forged); paths relative to it.")],
    split: Annotated[str | None, typer.Option(help="Only the rows of this split.")] = None,
    limit: Annotated[int | None, typer.Option(min=2, help="Only so many rows, evenly chosen.")] = None,
    output: OutputFormat = Format.text,
) -> None:
    """Measure the screen on face crops."""
    from interceptor.detect.screen import Screen
    from interceptor.detect.weights import WeightError
    from interceptor.evaluation.crops import evaluate_crops

    with _usage(ValueError, WeightError), _progress() as progress:
        screen = Screen()
        task = progress.add_task("scoring", total=None)
        found = evaluate_crops(
            index,
            lambda crops: screen(crops)[0],
            screen.probability,
            split=split,
            limit=limit,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    _print(found, output)


@evaluate.command("videos")
def evaluate_videos_command(
    directory: Annotated[Path, typer.Argument(help="A folder that holds real/ and fake/.")],
    frames: FrameCount = 32,
    fpr: Rate = 0.05,
    output: OutputFormat = Format.text,
) -> None:
    """Measure the whole scan on labelled videos."""
    from interceptor.evaluation.videos import evaluate_videos

    with _usage(ValueError), _progress() as progress:
        scanner = _scanner(frames, fpr)
        task = progress.add_task("scanning", total=None)
        found = evaluate_videos(
            directory,
            scanner.scan,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    _print(found, output)


@prepare.command("faces")
def prepare_faces_command(
    out: Annotated[Path, typer.Option(help="New folder for crops and index.csv.")],
    authentic: Annotated[list[str] | None, typer.Option(help="[SOURCE=]PATH of authentic media; repeat.")] = None,
    forged: Annotated[list[str] | None, typer.Option(help="[SOURCE=]PATH of forged media; repeat.")] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames sampled over each file's length.")] = 8,
    validation: Annotated[float, typer.Option(min=0, max=1, help="Share of files put into the split `val`.")] = 0.4,
) -> None:
    """Cut the faces of videos and pictures into a folder of crops."""
    from interceptor.datasets.faces import Origin, media_files, prepare_faces
    from interceptor.detect.detector import load_detector

    with _usage(ValueError, FileExistsError), _progress() as progress:
        origins = [Origin.parse(text, 0) for text in authentic or []] + [Origin.parse(text, 1) for text in forged or []]
        if not origins:
            raise ValueError("nothing to cut: give --authentic or --forged")
        total = sum(1 for _ in media_files([origin.path for origin in origins]))
        task = progress.add_task("cutting faces", total=total)
        counts = prepare_faces(
            origins,
            out,
            load_detector(),
            frames=frames,
            validation_share=validation,
            advance=lambda path: progress.advance(task),
        )
    _print({"out": str(out), **counts}, Format.text)


@train.command("screen")
def train_screen(
    data: Annotated[list[Path], typer.Option(help="Folder with an index.csv of crops; repeat for several.")],
    init: Annotated[
        Path, typer.Option(help="CLIP ViT-B/16 weights under timm's names, or a base file made from them.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run; an unfinished run in it goes on.")] = Path(
        "runs/screen"
    ),
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value of the recipe.")] = None,
    max_hours: Annotated[float | None, typer.Option(help="Stop cleanly after so many hours, ready to go on.")] = None,
) -> None:
    """Train the screen: warm start on frozen features, then norms, biases and read-out tuned together."""
    with _training():
        from interceptor.training.checkpoints import CheckpointError
        from interceptor.training.export import load_base
        from interceptor.training.screen import Recipe, ScreenRun, override
    until = None if max_hours is None else time.monotonic() + 3600 * max_hours
    with _usage(ValueError, CheckpointError), _progress() as progress:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int, note: str) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total)
            progress.update(tasks[stage], completed=done, total=total, description=f"{stage} ({note})")

        run = ScreenRun(load_base(init), data, out, override(Recipe(), settings or []), report)
        run.command = shlex.join(["interceptor", *sys.argv[1:]])
        card = run.run(until)
    _print({"out": str(out), "best": card.get("best")}, Format.text)


@export.command("screen")
def export_screen_command(
    run: Annotated[Path, typer.Argument(help="Folder of a training run.")],
    init: Annotated[Path, typer.Option(help="The weights the run started from, or the base file.")],
    out: Annotated[Path, typer.Option(help="Folder for base, screen and card; a base already there is kept.")],
) -> None:
    """Write a run's best screen as ONNX beside its base, with its card (calibrate it next)."""
    with _training():
        from interceptor.training.card import screen_card
        from interceptor.training.checkpoints import CheckpointError, read_tensors, write_json
        from interceptor.training.export import export_screen, load_base
    with _usage(CheckpointError, FileNotFoundError):
        files = export_screen(load_base(init), read_tensors(run / "best.safetensors"), out)
        write_json(out / "screen.json", screen_card(json.loads((run / "run.json").read_text()), files))
    _print({file.name: f"{file.stat().st_size / 1e6:.2f} MB" for file in files}, Format.text)


@app.command()
def calibrate(
    data: Annotated[list[Path], typer.Option(help="Folder with an index.csv of crops; repeat for several.")],
    weights: Annotated[Path, typer.Option(help="Folder that holds screen.onnx and its card.")],
    split: Annotated[str, typer.Option(help="The split that training did not see.")] = "val",
    rate: Annotated[float, typer.Option(help="False-alarm rate of the figures in the card.")] = 0.05,
) -> None:
    """Fit probability and thresholds of a screen on crops of many sources, and write them into its card."""
    from interceptor.datasets.crops import read_index
    from interceptor.detect.screen import ScreenNetwork
    from interceptor.detect.weights import WeightError, load_card
    from interceptor.evaluation.calibrate import calibrate, score_clips
    from interceptor.report.files import write_atomically

    with _usage(ValueError, WeightError), _progress() as progress:
        crops = [crop for path in data for crop in read_index(path, split)]
        card = load_card("screen", weights)
        network = ScreenNetwork(weights)
        task = progress.add_task("scoring", total=len(crops))
        clips = score_clips(crops, lambda images: network(images)[0], lambda count: progress.advance(task, count))
        found = calibrate(clips, rate)
    found["figures"] = {"made by": shlex.join(["interceptor", *sys.argv[1:]]), **found["figures"]}
    write_atomically(weights / "screen.json", json.dumps({**card, **found}, indent=2) + "\n")
    _print(found["figures"], Format.text)


def _expand(paths: list[str]) -> Iterator[Path]:
    """Files as they are (also missing ones: the scan says so), folders searched through, globs resolved."""
    from interceptor.datasets.faces import media_files

    for text in paths:
        path = Path(text)
        if path.is_dir():
            yield from media_files([path])
        elif not path.exists() and glob.has_magic(text):
            matches = glob.glob(text, recursive=True)  # noqa: PTH207 (pathlib takes no absolute patterns)
            yield from media_files([Path(match) for match in sorted(matches)])
        else:
            yield path


def _scanner(frames: int, fpr: float, *, evidence: bool = False) -> Any:
    from interceptor.detect.scan import Scanner

    return Scanner(frames=frames, fpr=fpr, evidence=evidence)


@contextmanager
def _usage(*kinds: type[Exception]) -> Iterator[None]:
    """Errors of these kinds are the caller's to correct: one line on standard error, exit status 2."""
    try:
        yield
    except kinds as error:
        errors.print(f"error: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(2) from None


@contextmanager
def _training() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        errors.print(
            f"error: {error.name} is not installed; training needs: pip install 'interceptor[train]'", markup=False
        )
        raise typer.Exit(2) from None


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=errors, transient=True)


def _print(found: dict[str, Any], output: Format) -> None:
    if output is Format.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    console = Console()
    for key, value in found.items():
        console.print(
            f"{key}: {json.dumps(value, indent=2) if isinstance(value, dict | list) else value}", markup=False
        )
