"""The model card of the standard localizer, and the files it describes."""

from __future__ import annotations

import filecmp
from pathlib import Path

from interceptor.training import checkpoints
from interceptor.training.export import BASE_NAME
from interceptor.training.localizers.export import write_localizer
from interceptor.training.localizers.trainer import load_members, read_run

LICENCE = (
    "Apache-2.0 for this project's decoders. The base is the image tower of CLIP ViT-B/16 (OpenAI, MIT). The pictures "
    "they were trained on come under their owners' terms, some for research only: check them before commercial use."
)
LIMITS = [
    "It learned forgeries made by program out of microscopy, blots, figures, clothes photographs and portraits (FFHQ), "
    "and western blots edited by hand. Other kinds of picture, and edits by generative models, were hardly seen.",
    "It sees what differs from the rest of a picture. A copy of a part of the same picture often does not: a "
    "matcher is the tool for that, and sources of copies are never marked.",
    "A cell of its map is a quarter of the 28 x 28 grid it sees by: outlines are rough, and forgeries under half a "
    "percent of a picture are mostly missed.",
    "Strong compression and rescaling after the forgery hide it.",
    "False alarms differ between kinds of picture; docs/localize.md has each by itself.",
    "A marked region is no proof. Look at it, ask for the original, and have a person decide.",
]


def export_localizer(run: Path, base: Path, out: Path) -> list[Path]:
    """Write a finished run's members as `localizer.onnx`, with the card `localizer.json`, beside the base in `out`.

    The base is copied there where it is missing. Returns the files. Raises `CheckpointError` where another base lies in
    the folder, `FileNotFoundError` for a run that is not finished.
    """
    card = read_run(run)
    beside, graph = out / BASE_NAME, out / "localizer.onnx"
    if not beside.is_file():
        checkpoints.write_bytes(beside, base.read_bytes())
    elif not filecmp.cmp(beside, base, shallow=False):
        raise checkpoints.CheckpointError(f"{beside}: another base; the localizer was not trained on it")
    write_localizer(beside, load_members(run, card["members"], card["recipe"]["gate"]), graph)
    checkpoints.write_json(
        out / "localizer.json",
        {
            "name": "localizer",
            "what": "CLIP ViT-B/16, first ten blocks at 448 x 448, matrices frozen at 8 bits; one decoder a member",
            "files": {file.name: checkpoints.sha256(file) for file in (beside, graph)},
            "input": "uint8[n, 448, 448, 3] RGB pictures or tiles",
            **card,
            "licence": LICENCE,
            "limits": LIMITS,
        },
    )
    return [beside, graph, out / "localizer.json"]
