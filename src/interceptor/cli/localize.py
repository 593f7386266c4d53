"""`interceptor localize`, `interceptor submit`: where pictures were altered."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from interceptor.cli.options import Format, OutputFormat
from interceptor.cli.scan import expand
from interceptor.console import progress_bars, say, stdout, usage


class Method(StrEnum):
    """What finds the instances of a submission; `both`: copied regions, and where there are none what the localizer
    calls forged.
    """

    matcher = "matcher"
    localizer = "localizer"
    both = "both"


Preset = Annotated[str, typer.Option(help="precise, balanced or sensitive.")]
Looks = Annotated[str, typer.Option(help="whole, tiles, or auto: tiles for what is longer than 1024 pixels.")]
Flips = Annotated[int, typer.Option(help="1, 4 or 8: looks also at the mirrored and turned picture.")]


def localize(
    paths: Annotated[list[str], typer.Argument(help="Pictures, folders or globs.")],
    out: Annotated[Path, typer.Option(help="Folder for probability maps, masks and overlays.")],
    preset: Preset = "balanced",
    mode: Looks = "auto",
    flips: Flips = 1,
    output: OutputFormat = Format.text,
) -> None:
    """Find where pictures were altered."""
    from interceptor.detect.localize import Localizer
    from interceptor.media import MediaError, read_still
    from interceptor.report.files import ReportError, check_target, page_name
    from interceptor.report.localization import localization_error_json, localization_json, write_localization
    from interceptor.report.text import printable
    from interceptor.runtime.weights import WeightError

    files, text = list(expand(paths)), stdout()
    failed, taken = False, set[str]()
    with usage(ReportError, ValueError, WeightError), progress_bars() as progress:
        if not files:
            raise ValueError(f"no pictures in {', '.join(paths)}")
        check_target(out, several=True)
        localizer = Localizer(preset=preset, mode=mode, flips=flips)
        task, tiles = progress.add_task("looking", total=len(files)), progress.add_task("tiles", visible=False)
        for file in files:
            try:
                rgb = read_still(file)
            except MediaError as error:
                failed = True
                say(f"error: {error}", style="red")
                if output is Format.json:
                    _line(localization_error_json(file, error.cause, error.message))
                continue
            finally:
                progress.advance(task)
            found = localizer.localize(
                rgb, lambda done, total: progress.update(tiles, completed=done, total=total, visible=total > 1)
            )
            written = write_localization(rgb, found, out / page_name(str(file), taken).removesuffix(".html"))
            if output is Format.json:
                _line(localization_json(file, found, written))
                continue
            regions = f"{len(found.instances)} region{'' if len(found.instances) == 1 else 's'}"
            text.print(
                printable(f"{file}: {found.verdict} ({found.probability:.2f}), {regions}, {found.mask.mean():.2%}"),
                markup=False,
                highlight=False,
            )
    raise typer.Exit(1 if failed else 0)


def submit(
    images: Annotated[Path, typer.Argument(help="Folder of pictures; names without suffix are the case ids.")],
    out: Annotated[Path, typer.Option(help="The CSV to write.")],
    method: Annotated[Method, typer.Option(help="What finds the instances.")] = Method.both,
    preset: Preset = "balanced",
    mode: Looks = "auto",
    flips: Flips = 1,
) -> None:
    """Write a submission for the Recod.ai/LUC contest."""
    from interceptor.datasets.pictures import picture_files
    from interceptor.detect.copymove import instances, match
    from interceptor.detect.localize import Localizer
    from interceptor.detect.submission import write_submission
    from interceptor.media import MediaError, read_still
    from interceptor.runtime.weights import WeightError

    with usage(ValueError, OSError, MediaError, WeightError), progress_bars() as progress:
        files = picture_files(images)
        if not files:
            raise ValueError(f"{images}: the folder holds no pictures")
        localizer = None if method is Method.matcher else Localizer(preset=preset, mode=mode, flips=flips)

        def found(file: Path) -> np.ndarray:
            rgb = read_still(file)
            copied = np.zeros((0, *rgb.shape[:2]), bool)
            if method is not Method.localizer:
                copied = instances(match(rgb), rgb.shape)
            if localizer is None or len(copied):  # matching evidence wins
                return copied
            altered = localizer.localize(rgb)
            if altered.verdict == "authentic" or (method is Method.both and altered.verdict != "forged"):
                return copied
            return altered.labels == np.arange(1, len(altered.instances) + 1)[:, None, None]

        rows = ((file.stem, found(file)) for file in progress.track(files, description="looking"))
        write_submission(out, rows)
    say(f"{out}: {len(files)} cases")


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
