"""Lips against sound by correlation alone: what `lenses.sync` reaches.

    python benchmarks/sync.py DATA [--prepared RUN]    # DATA holds videos/talking/{real,resynth,offset}

Windows of 2.6 s, half overlapping, of at most 5.4 s of each clip; clips shorter than that give one window of all they
have. `shift`: the same sound moved by 0.3 and 0.4 s either way; `swap`: the sound of another clip. AUC of `agreement`,
in sync against not, and the share of windows whose offset is found within 0.1 s. The interval resamples clips.
`--prepared`: of the clips that `interceptor prepare specialists --talk ...` has cut into RUN, the middle 5.4 s.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from interceptor.datasets.splits import split_of
from interceptor.detect.detector import load_detector
from interceptor.lenses import Abstain
from interceptor.lenses.sync import sync
from interceptor.media import probe
from interceptor.media.clips import FaceClip, Mouth
from interceptor.media.faces import FaceDetector
from interceptor.media.windows import SECONDS, cut_window
from interceptor.metrics.classification import roc_auc
from interceptor.training.specialists.data import read_talk, talk_file

LONGEST = 5.4
SHIFTS = (-0.4, -0.3, 0.3, 0.4)
CHOSEN_ON = frozenset(
    (
        "lrs2_sv_00014",
        "lrs2_sv_00001",
        "lrs3demo_gt_8UhqkX2VAmo_00001",
        "vox_00067",
        "vox_681100216",
        "avhubert_s2s_s1_v2_c1",
        "lrs3demo_gt_NA7krbsdXFA_00011",
        "vox_00015",
        "lrs2_sv_fun",
        "lrs3demo_gt_9uOMectkCCs_00002",
        "lrs3_sv_0gks6ceq4eQ_00005",
        "vox_741400163",
        "domhnall_example",
        "lrs3demo_gt_ni4FV5zL6lM_00001",
        "lrs3demo_gt_0gks6ceq4eQ_00006",
        "vox_00104",
    )
)
"""Clips on which the constants were chosen; signals, lead and band of pitch were chosen on the people of the split
`train`. The figures are of the others."""


def windows(path: Path, detector: FaceDetector, longest: float = LONGEST) -> list[FaceClip]:
    """Clips of one window each, of the most visible face."""
    info = probe(path)
    found = cut_window(path, info, detector, seconds=min(info.duration or longest, longest), crops=1).clips
    if not found or found[0].mouth is None or found[0].sound is None:
        return []
    return parts(found[0])


def prepared(run: Path, path: Path) -> list[FaceClip]:
    """The same of what was cut before."""
    clip = read_talk(talk_file(run, path))
    if clip is None or clip.mouth is None:
        return []
    mouth = clip.mouth
    kept = np.abs(mouth.times - (mouth.times[0] + mouth.times[-1]) / 2) < LONGEST / 2
    return parts(replace(clip, mouth=Mouth(mouth.frames[kept], mouth.times[kept])))


def parts(clip: FaceClip) -> list[FaceClip]:
    """A clip's windows, half overlapping."""
    mouth = clip.mouth
    assert mouth is not None
    starts = np.arange(mouth.times[0], max(mouth.times[-1] - SECONDS, mouth.times[0]) + 0.05, SECONDS / 2)
    inside = [(mouth.times >= start - 1e-6) & (mouth.times < start + SECONDS) for start in starts]
    return [replace(clip, mouth=Mouth(mouth.frames[part], mouth.times[part])) for part in inside]


def shifted(clip: FaceClip, seconds: float) -> FaceClip:
    assert clip.sound is not None
    return replace(clip, sound=replace(clip.sound, start=clip.sound.start + seconds))


def swapped(clip: FaceClip, other: FaceClip) -> FaceClip:
    """With the sound of another clip, moved so that it covers the same time."""
    assert clip.sound is not None
    assert other.sound is not None
    assert clip.mouth is not None
    assert other.mouth is not None
    move = clip.mouth.times[0] - other.mouth.times[0]
    return replace(clip, sound=replace(other.sound, start=other.sound.start + move))


def agreements(clips: Sequence[FaceClip]) -> tuple[np.ndarray, np.ndarray]:
    """Agreement and offset of each, NaN where the comparison abstains."""
    found = np.full((len(clips), 2), np.nan)
    for row, clip in zip(found, clips, strict=True):
        try:
            measured = sync(clip)
        except Abstain:
            continue
        row[:] = measured.agreement, measured.offset
    return found[:, 0], found[:, 1]


def auc(right: np.ndarray, wrong: np.ndarray) -> float:
    scores = np.r_[right, wrong]
    labels = np.r_[np.zeros(len(right)), np.ones(len(wrong))]
    kept = np.isfinite(scores)
    return roc_auc(labels[kept], -scores[kept])


def table_row(name: str, groups: list[list[FaceClip]]) -> None:
    """One row: windows of each clip form a group."""
    rng = np.random.default_rng(0)
    clips = [clip for group in groups for clip in group]
    owner = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    owned = list(zip(owner, clips, strict=True))
    right, offset = agreements(clips)
    wrong = {
        "shift": np.stack([agreements([shifted(clip, by) for clip in clips])[0] for by in SHIFTS]),
        "swap": np.stack(
            [
                agreements([swapped(clip, groups[(own + by) % len(groups)][0]) for own, clip in owned])[0]
                for by in (1, 2, 3)
            ]
        ),
    }
    cells = []
    for other in wrong.values():
        draws = []
        for _ in range(200):
            picked = np.concatenate([np.flatnonzero(owner == own) for own in rng.integers(0, len(groups), len(groups))])
            draws.append(auc(right[picked], other[:, picked].ravel()))
        low, high = np.percentile(draws, [2.5, 97.5])
        cells.append(f"{auc(right, other.ravel()):.3f} ({low:.2f} to {high:.2f})")
    known = np.isfinite(offset)
    close = np.mean(np.abs(offset[known]) <= 0.1)
    print(f"| {name} | {len(groups)} | {known.sum()} of {len(clips)} | {' | '.join(cells)} | {close:.0%} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--prepared", type=Path)
    arguments = parser.parse_args()
    folder = arguments.data / "videos" / "talking"
    cv2.setNumThreads(1)
    detector = load_detector()
    (known,) = sorted((folder / "offset").iterdir())
    _, offsets = agreements(windows(known, detector, 12.6))
    print(f"{known.name}: sound late by {np.round(offsets, 2).tolist()} s, median {np.nanmedian(offsets):+.2f} s\n")
    kinds = [f"{kind}, {which}" for kind in ("real", "resynth") for which in ("chosen on", "others")]
    groups: dict[str, list[list[FaceClip]]] = {kind: [] for kind in kinds}
    for path in sorted([*(folder / "real").iterdir(), *(folder / "resynth").iterdir()]):
        found = windows(path, detector) if arguments.prepared is None else prepared(arguments.prepared, path)
        chosen_on = path.stem in CHOSEN_ON or split_of(path) == "train"
        kind = f"{path.parent.name}, {'chosen on' if chosen_on else 'others'}"
        if found:
            groups[kind].append(found)
        else:
            print(f"left out, no mouth or no sound: {path.name}")
    print("| clips | number | windows scored | shift: AUC | swap: AUC | offset within 0.1 s |")
    print("|---|---|---|---|---|---|")
    for name, members in groups.items():
        table_row(name, members)


if __name__ == "__main__":
    main()
