"""`interceptor localize`, `interceptor submit`: where pictures were altered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interceptor.cli.options import Format, OutputFormat
from interceptor.cli.stills import PicturePaths, Stills, picture_paths, print_line
from interceptor.console import progress_bars, say, stdout, usage

if TYPE_CHECKING:
    import numpy as np

    from interceptor.detect.localize import Localizer


class Method(StrEnum):
    """What finds the instances of a submission; `both`: copied regions, and where there are none what the localizer
    calls forged.
    """

    matcher = "matcher"
    localizer = "localizer"
    both = "both"


PresetName = Annotated[str, typer.Option("--preset", help="precise, balanced or sensitive.")]
Looks = Annotated[str, typer.Option("--mode", help="whole, tiles, or auto: tiles for what is longer than 1024 pixels.")]
Flips = Annotated[int, typer.Option("--flips", help="1, 4 or 8: looks also at the mirrored and turned picture.")]
JoinName = Annotated[str, typer.Option("--join", help="What becomes of the flips' maps: mean or max.")]
TierName = Annotated[str, typer.Option("--tier", help="standard, or full: the networks in --models.")]
Models = Annotated[
    Path | None,
    typer.Option("--models", help="Folder of the full tier's networks; INTERCEPTOR_MODELS names it otherwise."),
]


def localizer_of(tier: str, models: Path | None, preset: str, mode: str, flips: int, join: str) -> Localizer:
    """Raises `ValueError` and `WeightError`."""
    from interceptor.detect.full import VARIABLE, models_folder
    from interceptor.detect.localize import Localizer
    from interceptor.runtime.weights import FOLDER

    folder = FOLDER
    if tier == "full":
        named = models_folder(models)
        if named is None:
            raise ValueError(f"the full tier needs the folder of its networks: --models DIR, or {VARIABLE}")
        folder = named
    elif models is not None:
        raise ValueError(f"{models}: networks of their own run in the full tier only; add --tier full")
    try:
        return Localizer(folder=folder, tier=tier, preset=preset, mode=mode, flips=flips, join=join)
    except MemoryError:
        raise ValueError("not enough memory for the localizer's networks: end other programs") from None


def localize(
    paths: PicturePaths,
    out: Annotated[Path, typer.Option(help="Folder for probability maps, masks, overlays and JSON files.")],
    preset: PresetName = "balanced",
    mode: Looks = "auto",
    flips: Flips = 1,
    join: JoinName = "mean",
    tier: TierName = "standard",
    models: Models = None,
    output: OutputFormat = Format.text,
) -> None:
    """Find where pictures were altered."""
    from interceptor.report.files import ReportError, check_target, page_name
    from interceptor.report.localization import error_json, localization_json, localization_text, write_localization
    from interceptor.runtime.weights import WeightError

    text, taken = stdout(), set[str]()
    with usage(ReportError, ValueError, WeightError), progress_bars() as progress:
        files = [file for file in picture_paths(paths) if out.resolve() not in file.resolve().parents]
        if not files:
            raise ValueError(f"only results of earlier runs in {', '.join(paths)}")
        check_target(out, several=True)
        localizer = localizer_of(tier, models, preset, mode, flips, join)
        task, tiles = progress.add_task("looking", total=len(files)), progress.add_task("tiles", visible=False)
        stills = Stills(files, error_json if output is Format.json else None, lambda: progress.advance(task))
        for file, rgb in stills:
            try:
                found = localizer.localize(
                    rgb, lambda done, total: progress.update(tiles, completed=done, total=total, visible=total > 1)
                )
                written = write_localization(file, rgb, found, out / page_name(str(file), taken).removesuffix(".html"))
            except MemoryError:
                size = f"{rgb.shape[1]:,} x {rgb.shape[0]:,}"
                stills.fail(file, "too_large", f"not enough memory for a picture of {size} pixels: scale it down")
                continue
            if output is Format.json:
                print_line(localization_json(file, found, written))
            else:
                text.print(localization_text(file, found), markup=False, highlight=False)
    if len(stills.failed) < len(files):
        say(f"maps, masks, overlays and JSON: {out}")
    raise typer.Exit(1 if stills.failed else 0)


def submit(
    images: Annotated[
        Path,
        typer.Argument(
            help="Folder of pictures, also in folders within it; their names without suffix are the case ids. Files "
            "are taken by their suffix (.png, .jpg, .tif, ...); others are left out with a note."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The CSV to write.")],
    method: Annotated[Method, typer.Option(help="What finds the instances.")] = Method.both,
    preset: PresetName = "balanced",
    mode: Looks = "auto",
    flips: Flips = 1,
    join: JoinName = "mean",
    tier: TierName = "standard",
    models: Models = None,
) -> None:
    """Write a submission for the Recod.ai/LUC contest: a row for each picture of a folder.

    Exit status: 0 if all were looked at, 1 if some could not be read (their rows say authentic), 2 for wrong usage.
    """
    from interceptor.datasets.listing import media_files
    from interceptor.datasets.pictures import SUFFIXES, picture_files
    from interceptor.detect.copymove import instances, match
    from interceptor.detect.submission import write_submission
    from interceptor.report.files import ReportError, check_file
    from interceptor.report.text import count
    from interceptor.runtime.weights import WeightError

    def found(rgb: np.ndarray) -> Iterable[np.ndarray]:
        """An instance bool[H, W] after the other."""
        if method is not Method.localizer and len(copied := instances(match(rgb), rgb.shape)):
            return copied  # matching evidence wins
        if localizer is None:
            return ()
        altered = localizer.localize(rgb)
        if altered.verdict == "authentic" or (method is Method.both and altered.verdict != "forged"):
            return ()
        return (altered.labels == number for number in range(1, len(altered.instances) + 1))

    def rows() -> Iterator[tuple[str, Iterable[np.ndarray]]]:
        for file, rgb in stills:
            yield file.stem, found(rgb)
        if len(stills.failed) == len(files):
            raise ValueError("none of the pictures could be read")
        for file in stills.failed:
            say(f"case {file.stem} could not be read and is put down as authentic, since each needs its row")
            yield file.stem, ()

    with usage(ReportError, ValueError, OSError, WeightError), progress_bars() as progress:
        files = picture_files(images)
        if not files:
            raise ValueError(f"{images}: the folder holds no pictures ({', '.join(sorted(SUFFIXES))})")
        cases = {file.stem: file for file in files}
        if twice := [file for file in files if cases[file.stem] != file]:
            raise ValueError(f"{twice[0]} and {cases[twice[0].stem]} are one case: keep one")
        kept = {*files}
        if other := [path for path in media_files([images]) if path not in kept]:
            say(f"note: {count(len(other), 'file')} left out for another suffix, such as {other[0]}", style="yellow")
        check_file(out)
        localizer = None if method is Method.matcher else localizer_of(tier, models, preset, mode, flips, join)
        task = progress.add_task("looking", total=len(files))
        stills = Stills(files, None, lambda: progress.advance(task))
        write_submission(out, rows())
    say(f"{out}: {len(files)} cases")
    raise typer.Exit(1 if stills.failed else 0)
