"""`interceptor ...`: parse, call, print."""

from __future__ import annotations

import glob
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interceptor import __version__
from interceptor.console import command_line, progress_bars, say, stdout, training_report, usage

if TYPE_CHECKING:
    from interceptor.detect.result import ScanResult
    from interceptor.detect.scan import Scanner

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
    from interceptor.detect.weights import WeightError
    from interceptor.report.files import ReportError, check_file, check_target, write_json
    from interceptor.report.html import write_html

    files = list(_expand(paths))
    with usage(ValueError, ReportError, WeightError):
        if not files:
            raise ValueError(f"nothing to scan in {', '.join(paths)}")
        if html is not None:
            _check_overwrites(html, files)
            check_target(html, several=len(files) > 1)
        if json_file is not None:
            _check_overwrites(json_file, files)
            check_file(json_file)
        scanner = _scanner(frames, fpr, evidence=html is not None)
    failed = False
    kept: list[ScanResult] = []

    def noted() -> Iterator[ScanResult]:
        nonlocal failed
        for result in _scan_each(files, scanner, output):
            failed |= result.verdict == "error"
            if json_file is not None:
                kept.append(result.model_copy(update={"evidence": {}}))
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

    with usage(ValueError, WeightError), progress_bars() as progress:
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
    from interceptor.detect.weights import WeightError
    from interceptor.evaluation.videos import evaluate_videos

    with usage(ValueError, WeightError), progress_bars() as progress:
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
    from interceptor.detect.weights import WeightError

    with usage(ValueError, OSError, WeightError), progress_bars() as progress:
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
    with usage(ValueError, CheckpointError), progress_bars() as progress:
        report = training_report(progress)
        run = ScreenRun(load_base(init), data, out, override(Recipe(), settings or []), report)
        run.command = command_line(sys.argv[1:])
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
    with usage(CheckpointError, FileNotFoundError):
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
    from interceptor.report.files import ReportError, write_atomically

    with usage(ValueError, WeightError, ReportError), progress_bars() as progress:
        crops = [crop for path in data for crop in read_index(path, split)]
        card = load_card("screen", weights)
        network = ScreenNetwork(weights)
        task = progress.add_task("scoring", total=len(crops))
        clips = score_clips(crops, lambda images: network(images)[0], lambda count: progress.advance(task, count))
        found = calibrate(clips, rate)
        found["figures"] = {"made by": command_line(sys.argv[1:]), **found["figures"]}
        write_atomically(weights / "screen.json", json.dumps({**card, **found}, indent=2) + "\n")
    _print(found["figures"], Format.text)


def _expand(paths: list[str]) -> Iterator[Path]:
    """Files as they are, folders searched through, globs resolved. What is not there stays: the scan says so."""
    from interceptor.datasets.faces import media_files

    for text in paths:
        matches = [text]
        if glob.has_magic(text) and not os.path.lexists(text):
            matches = sorted(glob.glob(text, recursive=True)) or [text]  # noqa: PTH207 (pathlib: no absolute patterns)
        for match in matches:
            if os.path.isdir(match):  # noqa: PTH112 (pathlib raises where a folder above cannot be entered)
                yield from media_files([Path(match)])
            else:
                yield Path(match)


def _check_overwrites(target: Path, files: list[Path]) -> None:
    """Raises `ValueError` where writing `target` would destroy a file to scan."""
    if os.path.realpath(target) in {os.path.realpath(file) for file in files}:
        raise ValueError(f"{target}: is one of the files to scan; write the results somewhere else")


def _scanner(frames: int, fpr: float, *, evidence: bool = False) -> Scanner:
    from interceptor.detect.scan import Scanner

    return Scanner(frames=frames, fpr=fpr, evidence=evidence)


def _scan_each(files: list[Path], scanner: Scanner, output: Format) -> Iterator[ScanResult]:
    """Scan one file after another, print each result at once, and hand it on."""
    from interceptor.report.files import json_line
    from interceptor.report.text import render_text

    text = stdout()
    with progress_bars() as progress:
        task = progress.add_task("scanning", total=len(files))
        for file in files:
            progress.update(task, description=f"scanning {file.name[:40]!r}")
            result = scanner.scan(file)
            progress.stop()  # the bar leaves the screen while something else is written there
            if output is Format.json:
                sys.stdout.write(json_line(result) + "\n")
                sys.stdout.flush()
            else:
                text.print(render_text(result))
            progress.start()
            progress.advance(task)
            yield result


@contextmanager
def _training() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        say(f"error: {error.name} is not installed; training needs: pip install 'interceptor[train]'", style="red")
        raise typer.Exit(2) from None


def _print(found: dict[str, Any], output: Format) -> None:
    if output is Format.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    console = stdout()
    for key, value in found.items():
        console.print(
            f"{key}: {json.dumps(value, indent=2) if isinstance(value, dict | list) else value}", markup=False
        )
