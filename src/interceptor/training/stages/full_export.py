"""A full specialist as it ships: one ONNX file, folded, and its card with preprocessing and calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from interceptor.datasets.shards import Shards
from interceptor.metrics.calibration import Platt, fit_platt
from interceptor.training import checkpoints
from interceptor.training.card import LICENCE
from interceptor.training.checkpoints import CheckpointError
from interceptor.training.folding import folded
from interceptor.training.specialists.export import write_specialist
from interceptor.training.stages.data import Batch, plan
from interceptor.training.stages.recipe import Recipe
from interceptor.training.stages.scoring import read_specialist, score_rows
from interceptor.training.stages.validation import measure

CLOSE = 1e-3
"""Largest difference of a logit before and after folding."""
LIMITS = [
    "It learned from the face forgeries of the data set named here; what it says of other kinds is not known.",
    "Its probability is calibrated on that set's validation split.",
    "A score is no proof. Look at the frames, ask for the original, and have a person decide.",
]


def export_full_specialist(code: str, run: Path, data: Path, out: Path) -> tuple[Path, dict[str, Any]]:
    """Write `full_CODE.onnx` and `full_CODE.json` into `out`; returns the file and its card.

    `run` is the folder of a stage's run, `data` the prepared folder it was trained on, whose split `val` calibrates.
    Inputs `crops` uint8[n, 224, 224, 3] RGB, enhanced as the card's `preprocessing` says, and `lens` float32[n, 3, s,
    s]; output `logit` float32[n], above 0 leans forged. Raises `CheckpointError` and `DataError`.
    """
    model, facts = read_specialist(code, run / "best.safetensors")
    recipe = Recipe(**facts["recipe"])
    if checkpoints.sha256(data / "manifest.csv") != facts["data"]["manifest_sha256"]:
        raise CheckpointError(f"{data}: another folder than {facts['data']['folder']}, which this run was trained on")
    shards = Shards(data)
    chosen = plan(shards, code, recipe)
    scores = score_rows(model, _crops, shards, code, recipe, chosen.validation)
    platt = fit_platt(scores.logits, scores.labels)
    if platt.slope <= 0:
        raise CheckpointError(
            f"{run}: on validation its logits do not point to forgeries (slope {platt.slope:.3f}); train it further"
        )
    small = folded(model)
    after = score_rows(small, _crops, shards, code, recipe, chosen.validation[: 2 * recipe.batch])
    before = dict(zip(scores.rows.tolist(), scores.logits.tolist(), strict=True))
    gap = max((abs(before[r] - v) for r, v in zip(after.rows.tolist(), after.logits, strict=True)), default=0.0)
    if gap > CLOSE:
        raise CheckpointError(f"{run}: folding changes logits by {gap:.4f}, more than {CLOSE}")
    file = out / f"full_{code}.onnx"
    write_specialist(small, file, lens_size=recipe.lens_size)
    card = _card(code, file, facts, platt, measure(scores, len(chosen.validation)), model, small)
    checkpoints.write_json(out / f"full_{code}.json", card)
    return file, card


def _crops(batch: Batch) -> Tensor:
    return batch.crops


def _card(
    code: str,
    file: Path,
    facts: dict[str, Any],
    platt: Platt,
    measured: dict[str, Any],
    model: nn.Module,
    small: nn.Module,
) -> dict[str, Any]:
    recipe = facts["recipe"]
    return {
        "name": f"full_{code}",
        "what": f"full specialist {code}: {recipe['backbone']} and lens module, {recipe['fusion']} fusion, folded",
        "files": {file.name: checkpoints.sha256(file)},
        "input": f"crops uint8[n, 224, 224, 3] RGB; lens float32[n, 3, {recipe['lens_size']}, {recipe['lens_size']}]",
        "preprocessing": facts["preprocessing"],
        "lens_size": recipe["lens_size"],
        "crop_convention": facts["crop_convention"],
        "parameters": {"trained": _size(model), "folded": _size(small)},
        "stage": facts["stage"],
        "start": facts["start"],
        "recipe": recipe,
        "trained_on": [f"{facts['data']['folder']} (stage {facts['stage']})"],
        "data": facts["data"],
        "validation": measured,
        "calibration": platt._asdict(),
        "versions": facts["versions"],
        "licence": LICENCE,
        "limits": LIMITS,
    }


def _size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
