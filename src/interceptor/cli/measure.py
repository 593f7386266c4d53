"""`interceptor evaluate ...` and `interceptor calibrate ...`: what the models are worth."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from interceptor.cli.group import Group
from interceptor.cli.options import (
    Format,
    FrameCount,
    ModelsFolder,
    OutputFormat,
    Rate,
    SpecialistChoice,
    TierOption,
    Tiers,
    print_found,
    say_damaged,
)
from interceptor.console import command_line, progress_bars, say, usage

calibrate = typer.Typer(cls=Group, help="Fit probabilities, thresholds and weights, and write them into the cards.")
evaluate = typer.Typer(cls=Group, no_args_is_help=True, help="Measure the shipped model on labelled crops or videos.")


class Members(StrEnum):
    screen = "screen"
    ensemble = "ensemble"


@evaluate.command("crops")
def evaluate_crops_command(
    index: Annotated[Path, typer.Argument(help="CSV with columns path,label (1 = forged); paths relative to it.")],
    split: Annotated[str | None, typer.Option(help="Only the rows of this split.")] = None,
    limit: Annotated[int | None, typer.Option(min=2, help="Only so many rows, evenly chosen.")] = None,
    tier: Annotated[Tiers, typer.Option(help="Whose network: the student's (fast) or the screen's (standard).")] = (
        Tiers.standard
    ),
    output: OutputFormat = Format.text,
) -> None:
    """Measure the network that judges every face on face crops.

    Exit status: 0 if all crops were scored, 1 if some could not be read, 2 for wrong usage.
    """
    from interceptor.detect.screen import Screen, Student
    from interceptor.evaluation.crops import evaluate_crops
    from interceptor.runtime.weights import WeightError

    with usage(ValueError, WeightError), progress_bars() as progress:
        if tier is Tiers.full:
            raise ValueError("a crop alone is not enough for full specialists: measure them by `evaluate videos`")
        network = Student() if tier is Tiers.fast else Screen()
        task = progress.add_task("scoring", total=None)
        found = evaluate_crops(
            index,
            lambda crops: network.look(crops).logits,
            network.probability,
            split=split,
            limit=limit,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    print_found(found, output)
    raise typer.Exit(1 if found["failed"] else 0)


@evaluate.command("videos")
def evaluate_videos_command(
    directory: Annotated[Path, typer.Argument(help="A folder that holds real/ and fake/.")],
    frames: FrameCount = 32,
    fpr: Rate = 0.05,
    tier: TierOption = Tiers.standard,
    specialists: SpecialistChoice = "auto",
    models: ModelsFolder = None,
    verdict_from: Annotated[
        Members | None, typer.Option(help="Whose probability is measured; what the ensemble's card says unless given.")
    ] = None,
    output: OutputFormat = Format.text,
) -> None:
    """Measure the whole scan on labelled videos.

    Exit status: 0 if all files were scanned, 1 if some could not be, 2 for wrong usage.
    """
    from interceptor.detect.router import parse_choice
    from interceptor.detect.scan import Scanner
    from interceptor.evaluation.videos import evaluate_videos
    from interceptor.runtime.weights import WeightError

    with usage(ValueError, WeightError), progress_bars() as progress:
        scanner = Scanner(
            frames=frames,
            fpr=fpr,
            tier=tier.value,
            specialists=parse_choice(specialists),
            models=models,
            verdict_from=None if verdict_from is None else verdict_from.value,
        )
        known = len(scanner.errors)
        say_damaged(scanner.errors)
        if scanner.remark is not None:
            say(f"note: {scanner.remark}", style="yellow")
        task = progress.add_task("scanning", total=None)
        found = evaluate_videos(
            directory,
            scanner.scan,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    say_damaged(scanner.errors[known:])  # full networks that cannot be run, which is found when one is needed
    print_found(found, output)
    raise typer.Exit(1 if any(row["verdict"] == "error" for row in found["files"]) else 0)


@calibrate.callback(invoke_without_command=True)
def calibrate_screen_command(
    context: typer.Context,
    data: Annotated[
        list[Path] | None, typer.Option(help="Folder with an index.csv of crops; repeat for several.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Folder that holds screen.onnx and its card.")] = None,
    split: Annotated[str, typer.Option(help="The split that training did not see.")] = "val",
    rate: Annotated[float, typer.Option(help="False-alarm rate of the figures in the card.")] = 0.05,
) -> None:
    """Fit probability and thresholds of a screen on crops of many sources, and write them into its card."""
    if context.invoked_subcommand is not None:
        return
    from interceptor.datasets.crops import read_index
    from interceptor.detect.screen import ScreenNetwork
    from interceptor.evaluation.calibrate import calibrate, score_clips
    from interceptor.report.files import ReportError, write_atomically
    from interceptor.runtime.weights import WeightError, load_card

    with usage(ValueError, WeightError, ReportError), progress_bars() as progress:
        if not data or weights is None:
            raise ValueError("give --data and --weights, or the command ensemble")
        crops = [crop for path in data for crop in read_index(path, split)]
        card = load_card("screen", weights)
        network = ScreenNetwork(weights)
        task = progress.add_task("scoring", total=len(crops))
        clips = score_clips(crops, lambda images: network(images)[0], lambda count: progress.advance(task, count))
        found = calibrate(clips, rate)
        found["figures"] = {"made by": command_line(sys.argv[1:]), **found["figures"]}
        write_atomically(weights / "screen.json", json.dumps({**card, **found}, indent=2) + "\n")
    print_found(found["figures"], Format.text)


@calibrate.command("ensemble")
def calibrate_ensemble_command(
    authentic: Annotated[list[str], typer.Option(help="[SOURCE=]PATH of authentic files, or a glob; repeat.")],
    forged: Annotated[list[str], typer.Option(help="[SOURCE=]PATH of forged files, or a glob; repeat.")],
    trained_on: Annotated[
        list[Path] | None, typer.Option(help="Folder that specialists learned from: its split train is left out.")
    ] = None,
    crops: Annotated[Path | None, typer.Option(help="index.csv of labelled crops, for a second comparison.")] = None,
    split: Annotated[str, typer.Option(help="The split of these crops that training did not see.")] = "val",
    limit: Annotated[int | None, typer.Option(min=20, help="Only so many of them, drawn at random.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Folder of the weights; those that ship unless given.")] = None,
) -> None:
    """Fit the weights of screen and specialists, measure whether together they are better, and write ensemble.json."""
    import numpy as np

    from interceptor.datasets.crops import read_index
    from interceptor.detect.ensemble import SPECIALISTS
    from interceptor.detect.scan import Scanner
    from interceptor.detect.specialists import Specialists
    from interceptor.evaluation.ensemble import fit, labelled, score_crops, score_files
    from interceptor.report.files import ReportError, write_atomically
    from interceptor.runtime.weights import FOLDER, WeightError, sha256

    folder = weights or FOLDER
    with usage(ValueError, WeightError, ReportError), progress_bars() as progress:
        given = [labelled(texts, label, trained_on or []) for texts, label in ((authentic, 0), (forged, 1))]
        files = [file for found, _ in given for file in found]
        rows = [] if crops is None else read_index(crops, split)
        rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[:limit]]
        scanner = Scanner(folder=folder, verdict_from="screen", quality=True)
        task = progress.add_task("scanning", total=len(files))
        items, failures = score_files(files, scanner.scan, lambda: progress.advance(task))
        task = progress.add_task("scoring crops", total=len(rows))
        specialists = Specialists(folder=folder)
        seen = score_crops(
            rows,
            scanner.screen,  # type: ignore[arg-type]  # the standard tier's is a screen
            scanner.screen.probability,
            specialists,
            lambda count: progress.advance(task, count),
        )
        found = fit(items, seen)
        names = ["screen.onnx", *(f"specialist_{code}.onnx" for code in SPECIALISTS if code in specialists.members)]
        card = {
            "name": "ensemble",
            "what": "how much the screen and each standard specialist count, and whether they decide together",
            "files": {},
            "fitted_with": {name: sha256(folder / name) for name in names},
            "command": command_line(sys.argv[1:]),
            "left_out": {"specialists_learned_from_them": sum(count for _, count in given), **failures},
            **found,
        }
        write_atomically(folder / "ensemble.json", json.dumps(card, indent=2) + "\n")
    print_found({key: found[key] for key in ("verdict_from", "why", "figures")}, Format.text)
