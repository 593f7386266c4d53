"""`interceptor evaluate ...` and `interceptor calibrate`: what the models are worth."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from interceptor.cli.options import Format, FrameCount, OutputFormat, Rate, print_found
from interceptor.console import command_line, progress_bars, usage

evaluate = typer.Typer(no_args_is_help=True, help="Measure the shipped model on labelled crops or videos.")


@evaluate.command("crops")
def evaluate_crops_command(
    index: Annotated[Path, typer.Argument(help="CSV with columns path,label (1 = forged); paths relative to it.")],
    split: Annotated[str | None, typer.Option(help="Only the rows of this split.")] = None,
    limit: Annotated[int | None, typer.Option(min=2, help="Only so many rows, evenly chosen.")] = None,
    output: OutputFormat = Format.text,
) -> None:
    """Measure the screen on face crops."""
    from interceptor.detect.screen import Screen
    from interceptor.evaluation.crops import evaluate_crops
    from interceptor.runtime.weights import WeightError

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
    print_found(found, output)


@evaluate.command("videos")
def evaluate_videos_command(
    directory: Annotated[Path, typer.Argument(help="A folder that holds real/ and fake/.")],
    frames: FrameCount = 32,
    fpr: Rate = 0.05,
    output: OutputFormat = Format.text,
) -> None:
    """Measure the whole scan on labelled videos."""
    from interceptor.detect.scan import Scanner
    from interceptor.evaluation.videos import evaluate_videos
    from interceptor.runtime.weights import WeightError

    with usage(ValueError, WeightError), progress_bars() as progress:
        scanner = Scanner(frames=frames, fpr=fpr)
        task = progress.add_task("scanning", total=None)
        found = evaluate_videos(
            directory,
            scanner.scan,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    print_found(found, output)


def calibrate(
    data: Annotated[list[Path], typer.Option(help="Folder with an index.csv of crops; repeat for several.")],
    weights: Annotated[Path, typer.Option(help="Folder that holds screen.onnx and its card.")],
    split: Annotated[str, typer.Option(help="The split that training did not see.")] = "val",
    rate: Annotated[float, typer.Option(help="False-alarm rate of the figures in the card.")] = 0.05,
) -> None:
    """Fit probability and thresholds of a screen on crops of many sources, and write them into its card."""
    from interceptor.datasets.crops import read_index
    from interceptor.detect.screen import ScreenNetwork
    from interceptor.evaluation.calibrate import calibrate, score_clips
    from interceptor.report.files import ReportError, write_atomically
    from interceptor.runtime.weights import WeightError, load_card

    with usage(ValueError, WeightError, ReportError), progress_bars() as progress:
        crops = [crop for path in data for crop in read_index(path, split)]
        card = load_card("screen", weights)
        network = ScreenNetwork(weights)
        task = progress.add_task("scoring", total=len(crops))
        clips = score_clips(crops, lambda images: network(images)[0], lambda count: progress.advance(task, count))
        found = calibrate(clips, rate)
        found["figures"] = {"made by": command_line(sys.argv[1:]), **found["figures"]}
        write_atomically(weights / "screen.json", json.dumps({**card, **found}, indent=2) + "\n")
    print_found(found["figures"], Format.text)
