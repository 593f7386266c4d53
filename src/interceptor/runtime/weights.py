"""The weight files that ship, their cards, and the proof that they are what the cards say."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "weights"
"""Where the package keeps its weights."""


class WeightError(RuntimeError):
    """A weight file that is missing, not the one its card describes (the message names the checksums), or of no use."""


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


sha256 = cache(sha256_of_file)
"""The same for weight files, each read once in a process."""


def load_card(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """The card of a model, after checking every file it names. Raises `WeightError`."""
    path = folder / f"{name}.json"
    advice = "install the package again" if folder == FOLDER else "put the right files there"
    if not path.is_file():
        raise WeightError(f"{path}: the card of {name!r} is missing; {advice}")
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        files = dict(card["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightError(f"{path}: the card is damaged ({error!r}); {advice}") from error
    for file, expected in files.items():
        weights = folder / file
        try:
            found = sha256(weights)
        except OSError as error:
            what = "missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
            raise WeightError(f"{weights}: {what} (expected SHA-256 {expected}); {advice}") from error
        if found != expected:
            raise WeightError(f"{weights}: SHA-256 is {found}, its card says {expected}; {advice}")
    return card
