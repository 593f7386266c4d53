"""`interceptor recipes`, `train CODE`, `export full`: specialists through their three stages."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from interceptor.cli.options import CODES, Format, OutputFormat, print_found, training_extra
from interceptor.console import command_line, progress_bars, say, stdout, training_report, usage
from interceptor.lenses import LENSES


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def register(app: typer.Typer, train: typer.Typer, export: typer.Typer) -> None:
    """Add these commands to the application and to its groups."""
    app.command("recipes")(recipes)
    for code, lens in LENSES.items():
        train.command(code, help=f"Train the full specialist {code.upper()} ({lens.name}) through one stage.")(
            _train_command(code)
        )
    export.command("full")(export_full)


def recipes(output: OutputFormat = Format.text) -> None:
    """List the recipes: six specialists in three stages, and what each stage sets."""
    from rich.table import Table

    from interceptor.training.stages.recipe import STAGES, every_recipe

    found = every_recipe()
    if output is Format.json:
        listed = [{"code": code, "stage": stage, **r.model_dump(mode="json")} for (code, stage), r in found.items()]
        sys.stdout.write(json.dumps(listed) + "\n")
        return
    shown = {stage: found[next(iter(LENSES)), stage].model_dump(mode="json") for stage in STAGES}
    table = Table("key", *STAGES, title=f"{len(found)} recipes: {', '.join(LENSES)}, each in {len(STAGES)} stages")
    for key in shown[STAGES[0]]:
        table.add_row(key, *(json.dumps(shown[stage][key]) for stage in STAGES))
    stdout().print(table)


def _train_command(code: str) -> Callable[..., None]:
    def command(
        stage: Annotated[str, typer.Option(help="faceforensics, celebdf or dfdc.")],
        data: Annotated[Path, typer.Option(help="Folder that `interceptor prepare` made.")],
        out: Annotated[
            Path | None, typer.Option(help="Folder of the specialist; runs/CODE by default. A run in it goes on.")
        ] = None,
        settings: Annotated[list[str] | None, typer.Option("--set", help="key=value of the recipe; repeat.")] = None,
        backbone: Annotated[
            str | None, typer.Option(help="efficientnet_b4, efficientnet_lite0 or clip_vit_b16 (frozen).")
        ] = None,
        init: Annotated[
            str | None, typer.Option(help="hub, none, or FILE to start from; the stage before by default.")
        ] = None,
        anyway: Annotated[
            bool, typer.Option("--anyway", help="Start from FILE although it is of another specialist, stage or crop.")
        ] = False,
        device: Annotated[Device, typer.Option(help="Where to train.")] = Device.auto,
        devices: Annotated[int, typer.Option(min=1, help="GPUs, or processes on a CPU.")] = 1,
        max_hours: Annotated[float | None, typer.Option(help="Stop cleanly after so many hours.")] = None,
    ) -> None:
        until = None if max_hours is None else time.monotonic() + 3600 * max_hours
        with training_extra():
            from interceptor.training.checkpoints import CheckpointError
            from interceptor.training.stages.recipe import load_recipe
            from interceptor.training.stages.stage import Job, train_stage
        from interceptor.report.files import ReportError
        from interceptor.report.training_run import write_run_page

        with usage(ValueError, OSError, FloatingPointError, CheckpointError, ReportError), progress_bars() as progress:
            chosen = [*(settings or []), *([f"backbone={backbone}"] if backbone else [])]
            job = Job(
                code,
                stage,
                load_recipe(stage, chosen),
                data,
                out or Path("runs") / code,
                init,
                anyway,
                device.value,
                devices,
                command_line(sys.argv[1:]),
            )
            card = train_stage(job, training_report(progress), say, write_run_page, until)
        if not card["finished"]:
            say(f"stopped after {card['done']} of {card['steps']} steps; the same command goes on", style="yellow")
        best = card.get("best", {}).get("measured")
        print_found({"run": str(job.folder), "finished": card["finished"], "best": best}, Format.text)

    return command


def export_full(
    code: Annotated[str, typer.Argument(help=f"{CODES}.")],
    run: Annotated[Path, typer.Argument(help="Folder of a stage's run, such as runs/bg/dfdc.")],
    data: Annotated[Path, typer.Option(help="The prepared folder it was trained on: its split `val` calibrates.")],
    out: Annotated[Path, typer.Option(help="Folder for full_CODE.onnx and its card.")],
) -> None:
    """Write a run's best specialist as ONNX for the scan's full tier, with its card and calibration."""
    with training_extra():
        from interceptor.training.checkpoints import CheckpointError
        from interceptor.training.stages.full_export import export_full_specialist
    with usage(ValueError, OSError, CheckpointError):
        file, card = export_full_specialist(code, run, data, out)
    print_found({file.name: f"{file.stat().st_size / 1e6:.2f} MB", "calibration": card["calibration"]}, Format.text)
