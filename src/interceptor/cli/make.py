"""`interceptor prepare ...`, `train ...`, `export ...`: how data and models are made."""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from interceptor.cli.group import Group
from interceptor.cli.options import CODES, Format, print_found, training_extra
from interceptor.console import command_line, progress_bars, training_report, usage

prepare = typer.Typer(cls=Group, no_args_is_help=True, help="Make training data out of media.")
train = typer.Typer(
    cls=Group, no_args_is_help=True, help="Train models (needs the extra: pip install 'interceptor\\[train]')."
)
export = typer.Typer(cls=Group, no_args_is_help=True, help="Turn training runs into the files that ship.")


@prepare.command("faces")
def prepare_faces_command(
    out: Annotated[Path, typer.Option(help="New folder for crops and index.csv.")],
    authentic: Annotated[list[str] | None, typer.Option(help="[SOURCE=]PATH of authentic media; repeat.")] = None,
    forged: Annotated[list[str] | None, typer.Option(help="[SOURCE=]PATH of forged media; repeat.")] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames sampled over each file's length.")] = 8,
    validation: Annotated[float, typer.Option(min=0, max=1, help="Share of files put into the split `val`.")] = 0.4,
) -> None:
    """Cut the faces of videos and pictures into a folder of crops."""
    from interceptor.datasets.faces import Origin, prepare_faces
    from interceptor.datasets.listing import media_files
    from interceptor.detect.detector import load_detector
    from interceptor.runtime.weights import WeightError

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
        if not counts["crops"]:
            raise ValueError(f"{out}: no face was cut from {counts['files']} files: {dict(counts)}")
    print_found({"out": str(out), **counts}, Format.text)


@prepare.command("specialists")
def prepare_specialists_command(
    base: Annotated[Path, typer.Option(help="The base file that ships, or the weights it was made from.")],
    out: Annotated[Path, typer.Option(help="Folder for lenses and tokens; what it holds is not made again.")],
    authentic: Annotated[
        list[Path] | None, typer.Option(help="Authentic videos and pictures to forge; repeat.")
    ] = None,
    talk: Annotated[list[Path] | None, typer.Option(help="Clips of people in sync with their sound; repeat.")] = None,
    collected: Annotated[list[Path] | None, typer.Option(help="Folder with an index.csv of crops; repeat.")] = None,
    stills: Annotated[int, typer.Option(min=1, help="Files of each authentic folder, at most.")] = 150,
    pairs: Annotated[int, typer.Option(min=2, help="Collected pairs to train on, at most.")] = 400,
    families: Annotated[
        str | None, typer.Option(help="By which to forge the authentic ones, with commas; all unless given.")
    ] = None,
    own: Annotated[
        int, typer.Option(min=1, help="Pairs of each training face and family with tokens of their own.")
    ] = 1,
    for_lens: Annotated[
        int, typer.Option(min=0, help="Further pairs of each training face and family, for the lens alone.")
    ] = 4,
) -> None:
    """Forge authentic media by all families, and store what specialists see of the pairs."""
    with training_extra():
        from interceptor.training.checkpoints import CheckpointError
        from interceptor.training.export import load_base
        from interceptor.training.specialists.data import PICTURE_TASKS
        from interceptor.training.specialists.prepare import Sources, prepare
    from interceptor.detect.detector import load_detector

    with usage(ValueError, CheckpointError), progress_bars() as progress:
        report = training_report(progress)
        chosen = PICTURE_TASKS if families is None else tuple(families.split(","))
        sources = Sources(authentic or [], talk or [], collected or [], stills, pairs, chosen, own, for_lens)
        make_detector = partial(load_detector, threads=1)  # several processes share the cores
        card = prepare(
            sources, load_base(base), out, make_detector, lambda done, total: report("media", done, total, "")
        )
    print_found({"out": str(out), **card["last_run"]}, Format.text)


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
    with training_extra():
        from interceptor.training.checkpoints import CheckpointError
        from interceptor.training.export import load_base
        from interceptor.training.screen import Recipe, ScreenRun, override
    until = None if max_hours is None else time.monotonic() + 3600 * max_hours
    with usage(ValueError, CheckpointError), progress_bars() as progress:
        report = training_report(progress)
        run = ScreenRun(load_base(init), data, out, override(Recipe(), settings or []), report)
        run.command = command_line(sys.argv[1:])
        card = run.run(until)
    print_found({"out": str(out), "best": card.get("best")}, Format.text)


@train.command("specialist")
def train_specialist_command(
    code: Annotated[str, typer.Argument(help=f"{CODES}.")],
    data: Annotated[Path, typer.Option(help="Folder that `prepare specialists` filled.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/specialists/CODE by default.")] = None,
    start: Annotated[Path | None, typer.Option(help="Folder of an earlier run whose head to go on with.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value of the recipe.")] = None,
) -> None:
    """Train a standard specialist's head on stored lenses and base tokens (and its lens module: module_steps)."""
    with training_extra():
        from interceptor.training.checkpoints import CheckpointError
        from interceptor.training.screen import override
        from interceptor.training.specialists.trainer import Recipe, train_specialist
    with usage(ValueError, CheckpointError), progress_bars() as progress:
        folder = out or Path("runs/specialists") / code
        recipe = override(Recipe(), settings or [])
        report = training_report(progress)
        card = train_specialist(code, data, folder, recipe, report, command_line(sys.argv[1:]), start)
    print_found({"out": str(folder), "best": card["best"]}, Format.text)


@export.command("screen")
def export_screen_command(
    run: Annotated[Path, typer.Argument(help="Folder of a training run.")],
    init: Annotated[Path, typer.Option(help="The weights the run started from, or the base file.")],
    out: Annotated[Path, typer.Option(help="Folder for base, screen and card; a base already there is kept.")],
) -> None:
    """Write a run's best screen as ONNX beside its base, with its card (calibrate it next)."""
    with training_extra():
        from interceptor.training.card import screen_card
        from interceptor.training.checkpoints import CheckpointError, read_tensors, write_json
        from interceptor.training.export import export_screen, load_base
    with usage(CheckpointError, FileNotFoundError):
        files = export_screen(load_base(init), read_tensors(run / "best.safetensors"), out)
        write_json(out / "screen.json", screen_card(json.loads((run / "run.json").read_text()), files))
    print_found({file.name: f"{file.stat().st_size / 1e6:.2f} MB" for file in files}, Format.text)


@export.command("specialist")
def export_specialist_command(
    code: Annotated[str, typer.Argument(help=f"{CODES}.")],
    data: Annotated[
        Path, typer.Option(help="Folder that `prepare specialists` filled; its validation pairs calibrate.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the network and its card.")],
    run: Annotated[Path | None, typer.Option(help="Folder of the run; runs/specialists/CODE by default.")] = None,
) -> None:
    """Write a run's best head as ONNX, with its card and calibration."""
    with training_extra():
        from interceptor.training.card import specialist_card
        from interceptor.training.checkpoints import CheckpointError, write_json
        from interceptor.training.specialists.export import write_head
        from interceptor.training.specialists.trainer import calibrate, read_run
    with usage(ValueError, CheckpointError, FileNotFoundError):
        head, card = read_run(code, run or Path("runs/specialists") / code)
        file = out / f"specialist_{code}.onnx"
        write_head(head, file)
        platt = calibrate(code, head, data)
        write_json(out / f"specialist_{code}.json", specialist_card(code, head, card, file, platt._asdict()))
    print_found({file.name: f"{file.stat().st_size / 1e6:.2f} MB", "calibration": platt._asdict()}, Format.text)
