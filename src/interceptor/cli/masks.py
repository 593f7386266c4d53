"""`interceptor evaluate masks`, `interceptor check submission`: what a localisation is worth, and its contest file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from interceptor.cli.group import Group
from interceptor.cli.localize import Flips, JoinName, Looks, Models, PresetName, TierName, localizer_of
from interceptor.cli.measure import evaluate
from interceptor.cli.options import Format, OutputFormat
from interceptor.cli.stills import print_line
from interceptor.console import progress_bars, say, stdout, usage

check = typer.Typer(cls=Group, no_args_is_help=True, help="Check files before they are handed on.")


@evaluate.command("masks")
def evaluate_masks_command(
    images: Annotated[Path, typer.Option(help="Folder of forged pictures.")],
    masks: Annotated[Path, typer.Option(help="Folder of their masks: same names, any suffix, .npy or pictures.")],
    predictions: Annotated[
        Path | None,
        typer.Option(help="Folder of probability maps: same names, .npy or grey pictures. Else the localizer's own."),
    ] = None,
    authentic: Annotated[Path | None, typer.Option(help="Folder of authentic pictures.")] = None,
    convention: Annotated[str, typer.Option(help="How masks are read: binary, white, black or green.")] = "binary",
    preset: PresetName = "balanced",
    mode: Looks = "auto",
    flips: Flips = 1,
    join: JoinName = "mean",
    tier: TierName = "standard",
    models: Models = None,
    output: OutputFormat = Format.text,
) -> None:
    """Measure where a method saw forgeries against where they are.

    Exit status: 0 if all pictures were measured, 1 if some were not, 2 for wrong usage.
    """
    from interceptor.datasets.pictures import pair_folders
    from interceptor.evaluation.masks import evaluate_masks, peak_memory_mb
    from interceptor.evaluation.predictions import localizer_predictions, stored_predictions
    from interceptor.report.masks import masks_text
    from interceptor.runtime.weights import WeightError

    with usage(ValueError, WeightError), progress_bars() as progress:
        pictures, unpaired = pair_folders(images, masks, authentic, convention)
        if predictions is None:
            predict = localizer_predictions(localizer_of(tier, models, preset, mode, flips, join))
        else:
            predict = stored_predictions(images, predictions, authentic)
        task = progress.add_task("measuring", total=len(pictures))
        found = evaluate_masks(pictures, predict, progress=lambda done, total: progress.update(task, completed=done))
    found["masks_without_picture"] = [str(path) for path in unpaired]
    if predictions is None:
        found["peak_memory_mb"] = peak_memory_mb()
    if output is Format.json:
        print_line(json.dumps(found))
    else:
        stdout().print(masks_text(found), markup=False, highlight=False)
    raise typer.Exit(1 if found["failed"] else 0)


@check.command("submission")
def check_submission_command(
    file: Annotated[Path, typer.Argument(help="CSV with the columns case_id,annotation.")],
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the pictures; their names without suffix are the case ids (as `submit` takes them)."
        ),
    ] = None,
    output: OutputFormat = Format.text,
) -> None:
    """Check a contest submission: exit status 0 where it keeps the rules, 1 where it does not."""
    from interceptor.detect.submission import check_submission

    with usage(ValueError, OSError):
        if not file.exists():
            raise ValueError(f"{file}: no such file; `interceptor submit IMAGES --out {file}` writes a submission")
        problems = check_submission(file, None if images is None else _sizes(images))
    if output is Format.json:
        print_line(json.dumps({"file": str(file), "problems": [vars(each) for each in problems]}))
    else:
        for problem in problems:
            stdout().print(str(problem), markup=False, highlight=False)
        say(f"{file}: {len(problems) or 'no'} problem{'' if len(problems) == 1 else 's'}")
    raise typer.Exit(1 if problems else 0)


def _sizes(images: Path) -> dict[str, tuple[int, int] | None]:
    """Height and width as displayed by case id, None for a picture that cannot be read. Raises `ValueError` for two
    pictures of one case.
    """
    from interceptor.datasets.pictures import picture_files
    from interceptor.media import MediaError
    from interceptor.media.stills import open_picture, orientation

    sizes: dict[str, tuple[int, int] | None] = {}
    for path in picture_files(images):
        if path.stem in sizes:
            raise ValueError(f"{path}: there is another picture of case {path.stem}")
        try:
            image = open_picture(path)
            if image is None:
                raise MediaError(path, "not_media", "this is not a picture")
        except MediaError as error:
            say(f"{error}; whether runs leave it cannot be checked", style="yellow")
            sizes[path.stem] = None
            continue
        with image:
            turned = orientation(image) >= 5
            sizes[path.stem] = (image.width, image.height) if turned else (image.height, image.width)
    return sizes
