"""What the standard specialists are worth.

    python benchmarks/specialists.py forges RUN      # RUN: what `interceptor prepare specialists` made
    python benchmarks/specialists.py crops DATA/dfdc_faces [--limit 400]
    python benchmarks/specialists.py clips DATA

`forges`: each specialist on each forge's held-out task (files that neither training nor the choice of its step saw,
not augmented): AUC, forged against authentic, and 95 % intervals over groups (a medium, or all of a person's, or all of
GRID's); then on its own forge with the lens, or the tokens, of a forgery replaced by its original's. `crops`: on the
split `val` (`--limit`: so many rows, drawn at random), low light and the screen that ships, alone and together.
`clips`: a window of each real and forged clip, screen and specialists; clips whose split is the specialists' training
are left out.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from interceptor.datasets.crops import read_crop, read_index
from interceptor.datasets.listing import media_files
from interceptor.datasets.splits import group_of, split_of
from interceptor.detect.detector import load_detector
from interceptor.detect.ensemble import SPECIALISTS, Abstention, weighted_ensemble
from interceptor.detect.screen import Screen
from interceptor.detect.specialists import Specialist, Specialists
from interceptor.media import probe
from interceptor.media.clips import FaceClip
from interceptor.media.crops import CROP_SIZE, TEMPLATE
from interceptor.media.windows import cut_window
from interceptor.metrics.bootstrap import bootstrap_intervals, paired_difference
from interceptor.metrics.classification import RANK_MEASURES, roc_auc
from interceptor.metrics.stacking import fit_stack, source_folds
from interceptor.runtime.network import Network
from interceptor.runtime.weights import FOLDER
from interceptor.training.checkpoints import CheckpointError
from interceptor.training.export import load_base
from interceptor.training.features import foundation_network
from interceptor.training.specialists.trainer import Pairs, read_pairs

TASKS = (*SPECIALISTS, "swap", "real")
BATCH = 32
AUC = {"auc": RANK_MEASURES["auc"]}


def forges(run: Path, weights: Path) -> None:
    specialists = Specialists(folder=weights)
    for code, why in specialists.absent.items():
        print(f"left out: {code}: {why.reason}")
    columns = [*TASKS, "own, by its tokens alone", "own, by its lens alone"]
    print(f"| specialist | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for code, member in specialists.members.items():
        cells, controls = [], ["", ""]
        for task in TASKS:
            try:
                pairs = read_pairs(run, "test", task, code)
            except CheckpointError:
                cells.append("")
                continue
            scores = logits(member, pairs)
            labels = np.tile([0, 1], len(pairs.rows))
            groups = np.array([group_of(Path(name)) for name in pairs.media])
            low, high = bootstrap_intervals(AUC, labels, scores, clusters=np.repeat(groups, 2))["auc"]
            auc = roc_auc(labels, scores)
            cells.append(f"{auc:.3f} ({low:.2f}-{high:.2f}; {len(set(groups))} groups, {len(pairs.rows)} pairs)")
            if task == code:
                # What a forgery shows on one side is taken from it: it bears its original's.
                blind = replace(pairs, seen=pairs.seen[:, [0, 0]]), replace(pairs, rows=pairs.rows[:, [0, 0]])
                controls = [f"{roc_auc(labels, logits(member, part)):.3f}" for part in blind]
        print(f"| {code} | {' | '.join([*cells, *controls])} |", flush=True)


def logits(member: Specialist, pairs: Pairs) -> np.ndarray:
    """Raw scores of both members of all pairs, the authentic one first."""
    parts = [np.arange(i, min(i + BATCH, len(pairs.rows))) for i in range(0, len(pairs.rows), BATCH)]
    return np.concatenate([member.logits(*(side.numpy() for side in pairs.batch(part))) for part in parts])


def base_network(base: Path, folder: str) -> Network:
    return foundation_network(load_base(base), Path(folder))


def log_odds(probability: np.ndarray) -> np.ndarray:
    return np.log(probability) - np.log1p(-probability)


def crops(index: Path, network: Network, weights: Path, limit: int | None) -> None:
    """Screen and low light on aligned crops: each alone, their mean, and a stack of folds by original."""
    rows = read_index(index, "val")
    rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[:limit]]
    screen, specialists = Screen(), Specialists(("ll",), weights)
    table = np.empty((len(rows), 2))
    for i in range(0, len(rows), BATCH):
        images = np.stack([read_crop(row.path)[0] for row in rows[i : i + BATCH]])
        tokens = network(images)[0]
        table[i : i + BATCH, 0] = log_odds(screen.probability(screen(images)[0]))
        for j, (image, grid) in enumerate(zip(images, tokens, strict=True), i):
            clip = FaceClip(image[None], (TEMPLATE * CROP_SIZE)[None], np.zeros(1))
            table[j, 1] = specialists.members["ll"].log_odds(clip, grid[None])
    labels = np.array([row.label for row in rows])
    origins = np.array([row.origin for row in rows])
    compare(labels, origins, {"screen": table[:, 0], "ll": table[:, 1], "mean of both": table.mean(1)}, table)


def compare(labels: np.ndarray, sources: np.ndarray, answers: dict[str, np.ndarray], table: np.ndarray) -> None:
    """AUC of each answer, and of a stack of the table's columns scored out of fold, against the first."""
    stacked = np.empty(len(labels))
    fold = source_folds(labels, sources, 5)
    for k in np.unique(fold):
        seen, held = fold != k, fold == k
        members = tuple(str(i) for i in range(table.shape[1]))
        stacked[held] = fit_stack(table[seen], labels[seen], sources[seen], members).log_odds(table[held])
    answers = {**answers, "stack, out of fold": stacked}
    first = next(iter(answers.values()))
    print("| answer | AUC | 95 % | against the screen |\n|---|---|---|---|")
    for name, scores in answers.items():
        low, high = bootstrap_intervals(AUC, labels, scores, clusters=sources)["auc"]
        gain, lower, upper, _ = paired_difference(AUC["auc"], labels, scores, first, clusters=sources)
        found = f"{roc_auc(labels, scores):.3f} | {low:.3f}-{high:.3f}"
        print(f"| {name} | {found} | {gain:+.3f} ({lower:+.3f} to {upper:+.3f}) |", flush=True)


def labelled(videos: Path) -> Iterator[tuple[Path, int, str]]:
    """Clip, label (1 = forged) and source."""
    for folder, label in (
        ("talking/real", 0),
        ("talking/fake", 1),
        ("silent/real", 0),
        ("two_people/real", 0),
        ("faceforensics/original_sequences", 0),
        ("faceforensics/manipulated_sequences", 1),
        ("celebdf/Celeb-real", 0),
        ("celebdf/Celeb-synthesis", 1),
        ("dfdc/dfdc_train_part_49", 0),
        ("dfdc/dfdc_train_part_0", 1),
    ):
        for path in media_files([videos / folder]):
            yield path, label, folder.split("/")[0]


def clips(data: Path, network: Network, weights: Path) -> None:
    """Each clip's worst face in a window of its middle."""
    screen, specialists, detector = Screen(), Specialists(folder=weights), load_detector()
    codes = tuple(specialists.members)
    rows = []
    print(f"| clip | forged | screen | {' | '.join(codes)} | all together |\n|---|---|---|{'---|' * (len(codes) + 1)}")
    for path, label, source in labelled(data / "videos"):
        if label == 0 and source in ("talking", "silent", "two_people") and split_of(path) == "train":
            continue
        faces = []
        for clip in cut_window(path, probe(path), detector, max_faces=2).clips:
            own = float(log_odds(screen.probability(float(screen(clip.crops)[0].mean()))))
            said = specialists(clip, network(clip.crops)[0])
            values = [np.nan if isinstance(v := said[code], Abstention) else v for code in codes]
            own_answer = {"screen": own, **{code: said[code] for code in codes}}
            faces.append((own, weighted_ensemble(own_answer).log_odds or 0.0, values))
        if not faces:
            print(f"| {path.name} | {label} | no face |")
            continue
        own, both, values = max(faces, key=lambda face: face[1])
        print(
            f"| {path.name} | {label} | {own:+.1f} | {' | '.join(f'{v:+.1f}' for v in values)} | {both:+.1f} |",
            flush=True,
        )
        rows.append((label, own, both, np.nanmean(values), *values))
    found = np.array(rows, float)
    print(f"\n{int((found[:, 0] == 0).sum())} authentic, {int((found[:, 0] == 1).sum())} forged")
    for column, answer in enumerate(("screen", "screen and specialists, mean", "specialists, mean", *codes), 1):
        said = np.isfinite(found[:, column])
        labels, scores = found[said, 0], found[said, column]
        auc, alarms = roc_auc(labels, scores), (scores[labels == 0] > 0).mean()
        print(f"{answer}: AUC {auc:.3f} of {said.sum()} clips; {alarms:.0%} of authentic ones above even odds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("forges", "crops", "clips"))
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, default=FOLDER)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--base", type=Path, default=FOLDER / "foundation.safetensors")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.what == "forges":
        return forges(options.data, options.weights)
    with tempfile.TemporaryDirectory() as folder:
        network = base_network(options.base, folder)
        if options.what == "crops":
            crops(options.data, network, options.weights, options.limit)
        else:
            clips(options.data, network, options.weights)


if __name__ == "__main__":
    main()
