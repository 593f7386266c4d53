"""`interceptor ablate`: does each lens and its module earn its place?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from interceptor.cli.options import Format, OutputFormat, print_found, training_extra
from interceptor.console import progress_bars, training_report, usage


def ablate(
    data: Annotated[Path, typer.Argument(help="Folder that `prepare specialists` filled.")],
    out: Annotated[Path, typer.Option(help="Folder of the results; a specialist that is done is kept.")] = Path(
        "runs/ablation"
    ),
    specialists: Annotated[
        str | None, typer.Option(help="Codes, with commas; all whose forges change pictures unless given.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each arm.")] = 3,
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value of the recipe.")] = None,
    output: OutputFormat = Format.text,
) -> None:
    """Train each specialist with its lens, without its module, with plain colours in the lens's place, and without
    either; compare them.
    """
    with training_extra():
        from interceptor.training.checkpoints import CheckpointError
        from interceptor.training.screen import override
        from interceptor.training.specialists.ablation import ARMS, BUDGET, OTHERS, ablate
        from interceptor.training.specialists.data import PICTURE_TASKS, REAL, tasks_of
    with usage(ValueError, CheckpointError), progress_bars() as progress:
        codes = PICTURE_TASKS if specialists is None else specialists.split(",")
        jobs = [(code, code) for code in codes] + [(code, REAL) for code in codes if REAL in tasks_of(code)]
        rows = ablate(data, jobs, override(BUDGET, settings or []), seeds, out, training_report(progress))
    if output is Format.json:
        print_found({"ablation": rows}, output)
        return
    names = ["specialist, task", *ARMS, *(f"lens less {other}" for other in OTHERS), "pairs, media"]
    typer.echo(f"| {' | '.join(names)} |\n{'|---' * len(names)}|")
    for row in rows:
        arms = [f"{np.mean(runs):.3f} ({min(runs):.2f}-{max(runs):.2f})" for runs in row["auc"].values()]
        gains = ["{:+.3f} ({:+.2f} to {:+.2f})".format(*row[f"lens_less_{other}"]) for other in OTHERS]
        count = f"{row['train_pairs']}; {row['test_pairs']} of {row['test_media']}"
        typer.echo(f"| {row['specialist']}, {row['task']} | {' | '.join([*arms, *gains, count])} |")
