"""`interceptor distill` and `interceptor export student`: the fast tier, made out of a slower one."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from interceptor.cli.make import export
from interceptor.cli.options import Format, print_found, training_extra
from interceptor.console import command_line, progress_bars, training_report, usage


def distill(
    teacher: Annotated[
        Path, typer.Option(help="ONNX network with the output `logit`, or a CSV crop,logit (crop: DATASET/path).")
    ],
    data: Annotated[list[Path], typer.Option(help="Folder with an index.csv of crops; repeat for several.")],
    init: Annotated[
        str, typer.Option(help="Start: safetensors of timm's tf_efficientnet_lite0 or of a student, `hub`, or `none`.")
    ],
    unlabelled: Annotated[
        list[Path] | None, typer.Option(help="Folder of face crops without labels; repeat for several.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run; an unfinished run in it goes on.")] = Path(
        "runs/student"
    ),
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value of the recipe.")] = None,
    max_hours: Annotated[float | None, typer.Option(help="Stop cleanly after so many hours, ready to go on.")] = None,
) -> None:
    """Train the student (EfficientNet-Lite0) to say what a slower network says of a face."""
    with training_extra():
        from interceptor.training.checkpoints import CheckpointError
        from interceptor.training.screen import override
        from interceptor.training.student.distill import DistillRun, Recipe
    from interceptor.datasets.lock import alone_in
    from interceptor.runtime.weights import WeightError

    until = None if max_hours is None else time.monotonic() + 3600 * max_hours
    with (
        usage(ValueError, OSError, FloatingPointError, CheckpointError, WeightError),
        alone_in(out),
        progress_bars() as progress,
    ):
        recipe = override(Recipe(), settings or [])
        run = DistillRun(teacher, data, unlabelled or [], init, out, recipe, training_report(progress))
        run.command = command_line(sys.argv[1:])
        card = run.run(until)
    print_found({"out": str(out), "best": card.get("best")}, Format.text)


@export.command("student")
def export_student_command(
    run: Annotated[Path, typer.Argument(help="Folder of a distillation.")],
    data: Annotated[
        list[Path], typer.Option(help="Folder with an index.csv of crops whose split `val` calibrates; repeat.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for student.onnx and its card.")],
    measured: Annotated[
        list[Path] | None, typer.Option(help="Folder with an index.csv of crops that are measured and set nothing.")
    ] = None,
    rate: Annotated[float, typer.Option(help="False-alarm rate of the figures in the card.")] = 0.05,
) -> None:
    """Write a run's best student as ONNX, with its card: probability and thresholds fitted on crops of many sources."""
    with training_extra():
        from interceptor.training.checkpoints import CheckpointError, write_json
        from interceptor.training.student.export import student_card, write_run
    from interceptor.datasets.crops import Crop, read_index
    from interceptor.evaluation.calibrate import Clip, calibrate, score_clips
    from interceptor.runtime.network import Network
    from interceptor.runtime.weights import WeightError

    with usage(ValueError, CheckpointError, WeightError), progress_bars() as progress:
        crops, others = (
            [crop for path in paths for crop in read_index(path, "val")] for paths in (data, measured or [])
        )
        file = write_run(run, out)
        network = Network(file, outputs=("logit",))
        task = progress.add_task("scoring", total=len(crops) + len(others))

        def clips(of: list[Crop]) -> list[Clip]:
            return score_clips(of, lambda images: network(images)[0], lambda count: progress.advance(task, count))

        found = calibrate(clips(crops), rate, measured=clips(others) if others else (), cautious=True)
        found["figures"] = {"made by": command_line(sys.argv[1:]), **found["figures"]}
        write_json(out / "student.json", {**student_card(run, file), **found})
    origins = found["figures"]["clips by origin"]
    print_found({file.name: f"{file.stat().st_size / 1e6:.2f} MB", "clips by origin": origins}, Format.text)
