"""`interceptor lens`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interceptor.cli.options import CODES
from interceptor.console import say, stdout, usage


def lens(
    path: Annotated[Path, typer.Argument(help="A video or a picture.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    codes: Annotated[
        list[str] | None, typer.Option("--lens", help=f"{CODES}, several with commas; all unless given.")
    ] = None,
    time: Annotated[
        float | None, typer.Option(min=0, help="Seconds from the start; the file's middle unless given.")
    ] = None,
) -> None:
    """Write what each specialist looks at as pictures: the face, then the three channels of its lens."""
    import numpy as np

    from interceptor.detect.detector import load_detector
    from interceptor.lenses import LENSES, Abstain
    from interceptor.media import MediaError, probe
    from interceptor.media.windows import cut_window
    from interceptor.report.sheets import sheet
    from interceptor.runtime.weights import WeightError

    chosen = [code for text in codes or LENSES for code in text.lower().split(",")]
    with usage(ValueError, MediaError, WeightError, OSError):
        if unknown := [code for code in chosen if code not in LENSES]:
            raise ValueError(f"there is no lens {', '.join(unknown)}; the lenses are {', '.join(LENSES)}")
        info = probe(path)
        if time is not None and info.duration is not None and time > info.duration:
            raise ValueError(f"{path}: is {info.duration:.2f} s long; there is nothing at {time:g} s")
        window = cut_window(path, info, load_detector(), at=time)
        out.mkdir(parents=True, exist_ok=True)
        for cause, count in sorted(window.failures.items()):
            say(f"{path}: {cause}: {count}", style="yellow")
        if not window.clips:
            say(f"error: {path}: no usable face here", style="red")
            raise typer.Exit(1)
        middle = time if time is not None else (info.duration or 0) / 2
        for face, clip in enumerate(window.clips):
            index = int(np.argmin(np.abs(clip.times - middle)))
            single = len(window.clips) == 1
            for code in chosen:
                name = f"{path.stem}_{code}.png" if single else f"{path.stem}_face{face}_{code}.png"
                who = f"{path.name}   {'' if single else f'face {face}   '}{clip.times[index]:.2f} s"
                try:
                    seen = LENSES[code].look(clip)[index]
                except Abstain as abstained:
                    say(f"{path}: face {face}: {code} abstains: {abstained.reason}", style="yellow")
                    continue
                sheet(LENSES[code], clip.crops[index], seen, who).save(out / name)
                stdout().print(str(out / name), markup=False, highlight=False)
