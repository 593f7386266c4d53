"""`interceptor datasets mini NAME OUT`: a tiny valid copy of each layout, out of media that it makes itself.

For trying the whole chain in minutes and for tests; nothing can be learnt from one portrait.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

from interceptor.datasets.celebdf import TEST_LIST
from interceptor.datasets.dfdc_preview import AUTHENTIC
from interceptor.datasets.dfdc_preview import INDEX as PREVIEW_INDEX
from interceptor.datasets.faceforensics import DFD, METHODS
from interceptor.datasets.fakeavceleb import COLUMNS, TYPES
from interceptor.datasets.fakeavceleb import INDEX as FAKEAVCELEB_INDEX
from interceptor.datasets.mini_media import write_clip
from interceptor.datasets.videos import DatasetError

Clip = tuple[str, int, int | None, int | None]
"""Name below the root, person, donor of the face, donor of the voice."""


def make_mini(name: str, out: Path, advance: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Write the miniature of the set `name` into `out`, which must be new or empty; returns the number of clips.

    Raises `DatasetError` for another name or a folder that holds something, `ModuleNotFoundError` without
    scikit-image.
    """
    if name not in MINIS:
        raise DatasetError(f"no data set {name!r}; there are {', '.join(MINIS)}")
    if out.exists() and any(out.iterdir()):
        raise DatasetError(f"{out}: holds something already; choose a new folder")
    out.mkdir(parents=True, exist_ok=True)
    clips = MINIS[name](out)
    for done, (file, person, donor, voice) in enumerate(clips, 1):
        write_clip(out / file, person, donor, voice)
        advance(done, len(clips))
    return len(clips)


def _faceforensics(out: Path) -> list[Clip]:
    """Two pairs of films for training, one each for val and test, every method; two actors of DFD."""
    pairs = {"train": [(0, 1), (2, 3)], "val": [(4, 5)], "test": [(6, 7)]}
    (out / "splits").mkdir()
    clips: list[Clip] = []
    for side, members in pairs.items():
        _write_json(out / "splits" / f"{side}.json", [[f"{a:03d}", f"{b:03d}"] for a, b in members])
        for target, source in (both for a, b in members for both in ((a, b), (b, a))):
            clips.append((f"original_sequences/youtube/c23/videos/{target:03d}.mp4", target, None, None))
            for method in METHODS:
                file = f"manipulated_sequences/{method}/c23/videos/{target:03d}_{source:03d}.mp4"
                clips.append((file, target, source, None))
    for target, source, code in ((1, 2, "ABCD1234"), (2, 1, "EFGH5678")):
        scene = f"{target:02d}_{source:02d}__talking__{code}.mp4"
        clips.append((f"original_sequences/actors/c23/videos/{target:02d}__talking.mp4", target, None, None))
        clips.append((f"manipulated_sequences/{DFD}/c23/videos/{scene}", target, source, None))
    return clips


def _celebdf(out: Path) -> list[Clip]:
    """Three pairs of people, swapped both ways, one pair of them tested on."""
    clips: list[Clip] = [(f"YouTube-real/{i:05d}.mp4", 10 + i, None, None) for i in range(2)]
    for a, b in ((0, 1), (2, 3), (4, 5)):
        for target, donor in ((a, b), (b, a)):
            clips.append((f"Celeb-real/id{target}_0000.mp4", target, None, None))
            clips.append((f"Celeb-synthesis/id{target}_id{donor}_0000.mp4", target, donor, None))
    tested = [file for file, *_ in clips if "/id4_" in file or "/id5_" in file or file.endswith("00001.mp4")]
    lines = [f"{int('synthesis' not in file)} {file}" for file in tested]  # there, 1 = real
    (out / TEST_LIST).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return clips


def _dfdc(out: Path) -> list[Clip]:
    """Ten parts of two originals and a forgery of each."""
    clips: list[Clip] = []
    for part in range(10):
        folder = f"dfdc_train_part_{part}"
        entries: dict[str, dict[str, str | None]] = {}
        for i in range(2):
            person = 2 * part + i
            real, fake = f"real{person:02d}.mp4", f"fake{person:02d}.mp4"
            entries[real] = {"label": "REAL", "split": "train", "original": None}
            entries[fake] = {"label": "FAKE", "split": "train", "original": real}
            clips += [(f"{folder}/{real}", person, None, None), (f"{folder}/{fake}", person, person + 1, None)]
        (out / folder).mkdir()
        _write_json(out / folder / "metadata.json", entries)
    return clips


def _dfdc_preview(out: Path) -> list[Clip]:
    """Three pairs of actors, one of them tested on."""
    clips: list[Clip] = []
    entries = {}
    for number, (target, swapped) in enumerate(((0, 1), (2, 3), (4, 5))):
        side = "test" if number == 2 else "train"
        real, fake = f"{AUTHENTIC}/{target}/{target}_001.mp4", f"method_A/{target}/{target}_{swapped}_001.mp4"
        known = {"set": side, "target_id": target, "augmentations": []}
        entries[real] = {"label": "real", "swapped_id": None, **known}
        entries[fake] = {"label": "fake", "swapped_id": swapped, **known}
        clips += [(real, target, None, None), (fake, target, swapped, None)]
    _write_json(out / PREVIEW_INDEX, entries)
    return clips


def _fakeavceleb(out: Path) -> list[Clip]:
    """Three people, each in all four types."""
    clips: list[Clip] = []
    below = "FakeAVCeleb/"
    methods = dict(zip(TYPES, ("real", "rtvc", "faceswap", "faceswap-wav2lip"), strict=True))
    rows = []
    for person in range(3):
        for kind, method in methods.items():
            folder, file = f"{kind}/African/men/id{person:05d}", f"{method}.mp4"
            target = f"id{person + 10:05d}" if kind.startswith("FakeVideo") else "-"
            rows.append([f"id{person:05d}", target, "-", method, "A", kind, "African", "men", file, below + folder])
            donor = person + 10 if kind.startswith("FakeVideo") else None
            clips.append((f"{folder}/{file}", person, donor, person + 20 if kind.endswith("FakeAudio") else None))
    header = [*COLUMNS[:4], "category", "type", "race", "gender", "path", ""]
    with (out / FAKEAVCELEB_INDEX).open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return clips


def _folders(out: Path) -> list[Clip]:
    """Three originals and their forgeries."""
    reals: list[Clip] = [(f"real/{person}.mp4", person, None, None) for person in range(3)]
    return reals + [(f"fake/{person}.mp4", person, person + 3, None) for person in range(3)]


def _csv(out: Path) -> list[Clip]:
    clips = _folders(out)
    with (out / "index.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "group"])
        writer.writerows([file, int(donor is not None), person] for file, person, donor, _ in clips)
    return clips


MINIS: dict[str, Callable[[Path], list[Clip]]] = {
    "faceforensics": _faceforensics,
    "celebdf": _celebdf,
    "celebdf_v1": _celebdf,
    "dfdc": _dfdc,
    "dfdc_preview": _dfdc_preview,
    "fakeavceleb": _fakeavceleb,
    "folders": _folders,
    "csv": _csv,
}


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
