"""The model card of the screen: what it is, what it was trained on, what it cannot do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from interceptor.models.standard import StandardHead
from interceptor.training import checkpoints

LICENCE = (
    "Apache-2.0 for this project's tuning. The base is the image tower of CLIP ViT-B/16 (OpenAI, MIT). The faces it "
    "was trained on come under their owners' terms, most for research only: check them before commercial use."
)
LIMITS = [
    "It judges faces. Forgery of scenes, bodies, text or sound alone is not looked for.",
    "It learned face swaps of one large collection and about fifty talking-head and swap generators. A generator "
    "unlike those may pass as authentic; new ones appear every month.",
    "Heavy compression, strong upscaling, beauty filters, make-up and studio retouching can look like forgery to it.",
    "A probability is calibrated on validation clips in which half are forged. Where forgeries are rarer, fewer alarms "
    "are right.",
    "The calibration is mostly that of DFDC. On clips of other makers forgeries rank above authentic files, but often "
    "get low probabilities (ECE in the table): between the two thresholds a low number clears nothing.",
    "The stated false-alarm rate is kept on the sources listed under figures, not promised on others: the table says "
    "what each source got when it was left out.",
    "A score is no proof. Look at the frames, ask for the original, and have a person decide.",
]


def screen_card(run: dict[str, Any], files: tuple[Path, ...]) -> dict[str, Any]:
    """A card without figures or thresholds yet: `interceptor calibrate` measures those. `run` is the training run's
    card.
    """
    return {
        "name": "screen",
        "what": "CLIP ViT-B/16, first ten blocks, matrices frozen at 8 bits; norms, biases and a linear read-out tuned",
        "files": {file.name: checkpoints.sha256(file) for file in files},
        "input": "uint8[n, 224, 224, 3] RGB face crops in the crop convention of docs/faces.md",
        "command": run["command"],
        "recipe": run["recipe"],
        "trained_on": _trained_on(run),
        "data": run["data"],
        "step": run["best"]["step"],
        "licence": LICENCE,
        "limits": LIMITS,
    }


SPECIALIST_LIMITS = [
    "It learned artefacts that were made on purpose inside authentic faces. What it says of real forgeries is measured "
    "apart, in docs/specialists.md.",
    "Its probability is calibrated on such pairs, half of them forged.",
    "It reads the tokens of the base with the base's own norms; another tuning's tokens mean something else.",
    *LIMITS[-1:],
]
FURTHER_LIMITS = {
    "av": [
        "It says whether lips and sound go together in one window of 2.6 s. Lip-sync forgeries that match their sound "
        "go together; authentic clips whose two tracks are apart do not.",
    ]
}


def specialist_card(
    code: str, head: StandardHead, run: dict[str, Any], file: Path, calibration: dict[str, float]
) -> dict[str, Any]:
    """The card of a standard specialist. `run` is the training run's card."""
    return {
        "name": f"specialist_{code}",
        "what": _what(head),
        "files": {file.name: checkpoints.sha256(file)},
        "input": "tokens float32[n, 49, 3072] of the base, lens float32[n, 3, 112, 112] (interceptor.lenses.half)",
        "base_sha256": run["data"]["base_sha256"],
        "command": run["command"],
        "recipe": run["recipe"],
        "readout": run["readout"],
        "reads_lens": head.reads_lens,
        "start": run["start"],
        "trained_on": [f"{task}: {count} pairs" for task, count in run["pairs"]["train"].items()],
        "data": run["data"],
        "step": run["best"]["step"],
        "validation": run["best"],
        "calibration": calibration,
        "licence": LICENCE,
        "limits": [*SPECIALIST_LIMITS, *FURTHER_LIMITS.get(code, [])],
    }


def _what(head: StandardHead) -> str:
    parts = ["a linear read-out of the lens's lags" if head.reads_lags else "a linear read-out of the mean token"]
    if head.has_network:
        seen = "module and statistics of the lens" if head.has_module else "statistics of the lens"
        parts.append(f"a network of token fusion on tokens, {seen}, matrices at 8 bits")
    return f"standard specialist {head.spec.code}: {'; '.join(parts)}"


def _trained_on(run: dict[str, Any]) -> list[str]:
    """A line for each data set; a run whose best step is 0 has seen the crops of the warm start only."""
    warm, step = run["recipe"]["warm_crops"], run["best"]["step"]
    return [
        f"{name}: {entry['train'] if step else min(warm, entry['train'])} of {entry['train']} crops, "
        f"{entry['val']} for validation"
        for name, entry in run["data"].items()
    ]
