"""What several test files share: one scanner and a few media, made once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import settings
from PIL import Image

from face_maker import face_clip, face_picture
from interceptor.detect.scan import Scanner
from interceptor.runtime import weights
from portraits import background

# The same draws each time and no time limit, so that one state of the code has one answer on any machine;
# `--hypothesis-profile default` searches on.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

RATES = [0.001, 0.01, 0.05, 0.3]


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights that ship but the specialists', under a card with known thresholds: 2 and -2 at a rate of 5 %,
    probability = sigmoid.
    """
    folder = tmp_path_factory.mktemp("weights")
    for file in weights.FOLDER.iterdir():
        if file.suffix != ".json" and not file.name.startswith("specialist_"):
            shutil.copy(file, folder)
    card = json.loads((weights.FOLDER / "screen.json").read_text())
    card["calibration"] = {"slope": 1.0, "offset": 0.0}
    card["thresholds"] = {
        side: {"rates": RATES, "thresholds": values, "smallest_supported_rate": 0.001, "side": side}
        for side, values in (("forged", [6.0, 4.0, 2.0, 0.0]), ("authentic", [-6.0, -4.0, -2.0, 0.0]))
    }
    (folder / "screen.json").write_text(json.dumps(card))
    for name in ("centerface.json", "copymove.json", "localizer.json"):
        shutil.copy(weights.FOLDER / name, folder)
    return folder


@pytest.fixture(scope="session")
def scanner(weights_folder: Path) -> Scanner:
    return Scanner(frames=8, evidence=True, folder=weights_folder)


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files by what they show: `face` and `nobody` (pictures), `clip`, `two` and `brief` (a second face at the start
    only). Not to be changed.
    """
    folder = tmp_path_factory.mktemp("media")
    Image.fromarray(face_picture()).save(folder / "face.png")
    Image.fromarray(background(64, 96)).save(folder / "nobody.png")
    return {
        "face": folder / "face.png",
        "nobody": folder / "nobody.png",
        "clip": face_clip(folder / "clip.mp4"),
        "two": face_clip(folder / "two.mp4", second=True),
        "brief": face_clip(folder / "brief.mp4", second=True, brief=3),
    }
