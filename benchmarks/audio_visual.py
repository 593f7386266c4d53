"""What the audio-visual specialist tells: clips in sync against the same clips out of it.

    python benchmarks/audio_visual.py RUN [--weights DIR] [--split test ...]

RUN is what `interceptor prepare specialists --talk ...` made: 8 s of each clip. People of the specialist's training are
left out unless `--split` names them. Windows of 2.6 s, half overlapping; of shorter clips one of all they have, from
2 s on. Beside each answer of the specialist that of plain correlation (`lenses.sync`). `shift` is by 0.3, 0.4, 0.6 and
1 s either way, `near shift` by 0.3 and 0.4 s, `swap` the sound of another person of the same collection, `padded` the
sound 0.4 s late with digital silence before it, as an editor moves it. Controls, which should not be told from the clip
as it is: `silence`, the first 0.4 s of its sound silenced; `short`, the window without its last 0.4 s. Intervals
resample people.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from sync import parts, shifted, swapped

from interceptor.datasets.splits import first_word, group_of, split_of
from interceptor.detect.screen import ScreenNetwork
from interceptor.detect.specialists import Specialist
from interceptor.lenses import Abstain
from interceptor.lenses.sync import sync
from interceptor.media.clips import FaceClip, Mouth
from interceptor.metrics.bootstrap import bootstrap_intervals
from interceptor.metrics.classification import RANK_MEASURES, roc_auc
from interceptor.runtime.weights import FOLDER
from interceptor.training.specialists.data import read_talk

SHORTEST = 2.0
SHIFTS = (0.3, 0.4, 0.6, 1.0)
PARTNERS = 3
MOVED = 0.4
ONE_SPEAKER = frozenset(("grid_bbaf2n", "grid_qub_bbir7s", "grid_sv_swwv9a"))
"""GRID's clips of one man; its others are of one person each."""
AUC = {"auc": RANK_MEASURES["auc"]}
Score = Callable[[FaceClip], float]
Answers = tuple[str, list[float], list[float]]
"""A person, and what the specialist and the correlation say of each window: above 0 leans forged."""


@dataclass(frozen=True)
class Talk:
    """The windows of one clip."""

    path: Path
    windows: list[FaceClip]
    tokens: np.ndarray

    @property
    def person(self) -> str:
        """GRID's speakers, all on one side of a split, are told apart here by their looks."""
        group = group_of(self.path)
        return self.path.stem if group == "grid" and self.path.stem not in ONE_SPEAKER else group


def padded(clip: FaceClip) -> FaceClip:
    return silenced(shifted(clip, MOVED), MOVED, first(clip))


def silenced(clip: FaceClip, seconds: float = MOVED, begin: float | None = None) -> FaceClip:
    """With digital silence up to `seconds` after `begin`, where mouth and sound begin unless given."""
    assert clip.sound is not None
    sound, samples = clip.sound, clip.sound.samples.copy()
    end = (first(clip) if begin is None else begin) + seconds
    samples[: max(0, round((end - sound.start) * sound.rate))] = 0
    return replace(clip, sound=replace(sound, samples=samples))


def first(clip: FaceClip) -> float:
    assert clip.sound is not None
    assert clip.mouth is not None
    return max(clip.sound.start, float(clip.mouth.times[0]))


def short(clip: FaceClip) -> FaceClip:
    assert clip.mouth is not None
    kept = clip.mouth.times <= clip.mouth.times[-1] - MOVED
    return replace(clip, mouth=Mouth(clip.mouth.frames[kept], clip.mouth.times[kept]))


def variants(talk: Talk, others: list[Talk]) -> Iterable[tuple[str, list[FaceClip]]]:
    """The windows of a clip under each name."""
    yield "sync", talk.windows
    yield "shift", [shifted(clip, sign * by) for clip in talk.windows for sign in (-1, 1) for by in SHIFTS]
    yield "near shift", [shifted(clip, sign * by) for clip in talk.windows for sign in (-1, 1) for by in SHIFTS[:2]]
    yield "padded", [padded(clip) for clip in talk.windows]
    rng = np.random.default_rng(0)
    partners = [other for other in others if first_word(other.path) == first_word(talk.path)]
    partners = [partners[i] for i in rng.permutation(len(partners))[:PARTNERS]]
    yield "swap", [swapped(clip, other.windows[0]) for other in partners for clip in talk.windows]
    yield "silence", [silenced(clip) for clip in talk.windows]
    yield "short", [short(clip) for clip in talk.windows]


def scored(score: Score, clips: Iterable[FaceClip]) -> list[float]:
    found = []
    for clip in clips:
        try:
            found.append(score(clip))
        except Abstain:
            continue
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--weights", type=Path, default=FOLDER, help="folder of specialist_av.onnx and its card")
    parser.add_argument("--split", action="append", choices=("train", "val", "test"))
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    screen, specialist = ScreenNetwork(), Specialist("av", arguments.weights)
    talks = []
    for file in sorted((arguments.run / "talk").iterdir()):
        name, clip = file.stem.split("-", 1)[1], read_talk(file)
        if clip is None or split_of(Path(f"{name}.mp4")) not in (arguments.split or ["test"]):
            continue
        if clips := [part for part in parts(clip) if spans(part) >= SHORTEST]:
            talks.append(Talk(Path(f"{name}.mp4"), clips, screen.look(clip.crops).tokens))
        else:
            print(f"left out, less than {SHORTEST} s of a mouth with sound: {name}")
    print("| told from sync | people, clips, windows | specialist | plain correlation |\n|---|---|---|---|")
    answers: dict[str, list[Answers]] = {}
    for talk in talks:
        others = [other for other in talks if other.person != talk.person]
        for name, clips in variants(talk, others):
            by_specialist = scored(lambda clip, talk=talk: specialist.log_odds(clip, talk.tokens), clips)
            by_correlation = scored(lambda clip: -sync(clip).agreement, clips)
            answers.setdefault(name, []).append((talk.person, by_specialist, by_correlation))
    right = answers.pop("sync")
    for name, wrong in answers.items():
        cells = [measured(right, wrong, which) for which in (1, 2)]
        usable = [entry for entry in wrong if entry[1]]
        counts = len({person for person, *_ in usable}), len(usable), sum(len(entry[1]) for entry in usable)
        print(f"| {name} | {', '.join(map(str, counts))} | {' | '.join(cells)} |", flush=True)


def measured(right: list[Answers], wrong: list[Answers], which: int) -> str:
    """AUC and its interval over people."""
    rows = [
        (value, label, person)
        for label, group in ((0, right), (1, wrong))
        for person, *values in group
        for value in values[which - 1]
    ]
    scores, labels, people = (np.array(column) for column in zip(*rows, strict=True))
    low, high = bootstrap_intervals(AUC, labels, scores, clusters=people)["auc"]
    return f"{roc_auc(labels, scores):.3f} ({low:.2f} to {high:.2f})"


def spans(clip: FaceClip) -> float:
    assert clip.mouth is not None
    return float(clip.mouth.times[-1] - clip.mouth.times[0])


if __name__ == "__main__":
    main()
