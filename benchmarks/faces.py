"""Measures face detection, the crop convention and tracking: `python benchmarks/faces.py MEASURE DATA`.

DATA is the folder that holds `dfdc_faces`, `generated_faces` and `videos`. `docs/faces.md` quotes what this prints.
"""

from __future__ import annotations

import argparse
import csv
import random
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from interceptor.media.crops import TEMPLATE, crop_side, cut
from interceptor.media.faces import Face, FaceDetector
from interceptor.media.frames import Frame, FrameReader
from interceptor.media.probe import probe
from interceptor.media.stills import read_still
from interceptor.media.tracks import FaceTracker, likeness
from interceptor.runtime.network import Network

WEIGHTS = Path(__file__).parents[1] / "src/interceptor/weights/centerface.onnx"
BORDER = 80
"""Black pixels put around a crop before faces are sought in it: of 0 to 80 pixels, grey or black, these move the
landmarks least against those found in the whole frame."""
CLIPS = (
    "faceforensics/original_sequences/youtube/c23/videos/519.mp4",
    "faceforensics/original_sequences/youtube/c23/videos/634.mp4",
    "faceforensics/original_sequences/youtube/c23/videos/004.mp4",
    "celebdf/Celeb-real/id16_0012.mp4",
    "celebdf/Celeb-real/id26_0006.mp4",
    "celebdf/Celeb-synthesis/id9_id26_0000.mp4",
    "dfdc/dfdc_train_part_0/brtujopkby.mp4",
    "dfdc/dfdc_train_part_49/lynaeydofd.mp4",
    "talking/real/grid_brbk7n.mpg",
    "talking/real/hdtf_3.mp4",
    "talking/real/vox_00067.mp4",
    "talking/real/lrs3_sv_00006.mp4",
    "talking/real/WDA_KatieHill_000.mp4",
    "talking/fake/echomimic_ch_04.mp4",
    "silent/real/lp_d19.mp4",
    "two_people/real/multi_visualvoice_interview.mp4",
)


def detector(precision: str | None = None, **options: float) -> FaceDetector:
    return FaceDetector(lambda shape: Network(WEIGHTS, shape=shape, precision_hint=precision), **options)


def frames(data: Path, clip: str, count: int) -> list[Frame]:
    path = data / "videos" / clip
    return list(FrameReader(path, probe(path), count))


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance of each landmark."""
    return np.linalg.norm(a - b, axis=-1)


def in_crop(detect: FaceDetector, crop: np.ndarray) -> np.ndarray | None:
    """Landmarks found inside a crop, as fractions of its side."""
    bordered = cv2.copyMakeBorder(crop, *[BORDER] * 4, cv2.BORDER_CONSTANT)
    faces = [face for face in detect(bordered) if face.size > len(crop) / 2]
    return (faces[0].landmarks - BORDER) / len(crop) if faces else None


def training_crops(folder: Path, count: int) -> Iterator[np.ndarray]:
    with (folder / "index.csv").open(newline="") as index:
        rows = [row for row in csv.DictReader(index) if row["split"] == "train"]
    for row in random.Random(0).sample(rows, count):
        yield read_still(folder / row["path"])


def template(data: Path) -> None:
    """Where landmarks lie in the training crops: the origin of `crops.TEMPLATE`."""
    detect = detector("f32")
    for name, count in (("dfdc_faces", 2000), ("generated_faces", 600)):
        marks = [in_crop(detect, crop) for crop in training_crops(data / name, count)]
        found = np.array([places for places in marks if places is not None])
        mean = found.mean(0)
        print(f"{name}: found in {len(found)} of {count}; mean {mean.round(4).tolist()}")
        print(f"  median {np.median(found, 0).round(4).tolist()}, standard deviation {found.std(0).mean():.4f}")
        print(f"  distance of the mean to TEMPLATE, per landmark: {distances(mean, TEMPLATE).round(4).tolist()}")


def framing(data: Path) -> None:
    """Where landmarks lie in crops cut from all clips."""
    detect, inside = detector(), detector("f32")
    clips = [path for path in sorted((data / "videos").rglob("*")) if path.suffix in {".mp4", ".mpg", ".webm", ".avi"}]
    found = []
    for path in clips:
        errors = []
        for frame in FrameReader(path, probe(path), 4):
            for face in detect(frame.rgb):
                marks = in_crop(inside, cut(frame.rgb, face.landmarks))
                if marks is not None:
                    found.append(marks)
                    errors.append(distances(marks, TEMPLATE).mean())
        print(f"{path.name}: {len(errors)} crops, mean distance {np.mean(errors):.4f}")
    every = distances(np.array(found), TEMPLATE).mean(1)
    print(f"{len(found)} crops of {len(clips)} clips: mean distance {every.mean():.4f}", end=", ")
    print(f"median {np.median(every):.4f}, 90 % under {np.percentile(every, 90):.4f}")
    print(f"mean positions: {np.mean(found, 0).round(4).tolist()}")
    print(f"  distance to TEMPLATE, per landmark: {distances(np.mean(found, 0), TEMPLATE).round(4).tolist()}")


def speed(data: Path) -> None:
    """Cost and agreement by input size and precision."""
    shown = [frame.rgb for clip in CLIPS for frame in frames(data, clip, 3)]
    reference = detector("f32", long_side=1280)
    expected = [reference(rgb) for rgb in shown]
    wide = next(rgb for rgb in shown if rgb.shape[:2] == (720, 1280))
    for precision in ("bf16", "f32"):
        for long_side in (320, 480, 640):
            detect = detector(precision, long_side=long_side)
            detect(wide)
            seconds = []
            for _ in range(32):
                start = time.perf_counter()
                detect(wide)
                seconds.append(time.perf_counter() - start)
            close, mirror, missed = [], [], 0
            for rgb, faces in zip(shown, expected, strict=True):
                found = detect(rgb)
                mirrored = [mirror_landmarks(face, rgb.shape[1]) for face in detect(np.ascontiguousarray(rgb[:, ::-1]))]
                for face in faces:
                    side = crop_side(face.landmarks)
                    best = nearest(face.landmarks, [other.landmarks for other in found], side)
                    missed += best > 0.15
                    if best <= 0.15:
                        close.append(best)
                        mirror.append(nearest(face.landmarks, mirrored, side))
            print(
                f"{precision} {long_side}: {1e3 * min(seconds):.1f} ms (median {1e3 * np.median(seconds):.1f})",
                end=", ",
            )
            print(f"missed {missed} of {missed + len(close)}, landmarks off by {np.mean(close):.4f}", end=", ")
            print(f"mirrored {np.median(mirror):.4f}")


def mirror_landmarks(face: Face, width: int) -> np.ndarray:
    return (np.array([width, 0]) + face.landmarks * [-1, 1])[[1, 0, 2, 4, 3]]


def nearest(marks: np.ndarray, others: list[np.ndarray], side: float) -> float:
    return min((float(distances(marks, other).mean()) / side for other in others), default=np.inf)


def sizes(data: Path) -> None:
    """Recall and landmark error for frames shrunk so that the crop has a given side."""
    detect, reference = detector(), detector("f32")
    shown = [
        (frame.rgb, face) for clip in CLIPS for frame in frames(data, clip, 3) for face in reference(frame.rgb)[:1]
    ]
    for side in (16, 20, 24, 32, 40, 48, 64, 96):
        errors = []
        for rgb, face in shown:
            scale = side / crop_side(face.landmarks)
            small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            errors.append(nearest(face.landmarks * scale, [other.landmarks for other in detect(small)], side))
        hits = [error for error in errors if error < 0.15]
        print(f"side {side}: recall {len(hits) / len(errors):.2f}, landmarks off by {np.mean(hits):.4f} of the side")


def tracking(data: Path) -> None:
    """What carrying faces between detections costs, and how far it (or interpolation) is from detecting there."""
    detect = detector()
    for every in (1, 2, 3, 4):
        carried, between, lost, seconds, crops, tracks = [], [], 0, 0.0, 0, 0
        for clip in CLIPS:
            sampled = frames(data, clip, 32)
            detect(sampled[0].rgb)
            tracker = FaceTracker(detect, every=every)
            for frame in sampled:
                tracker.feed(frame)
            found = tracker.finish()
            seconds, lost = seconds + tracker.detect_seconds, lost + tracker.failures["face_not_followed"]
            crops, tracks = crops + sum(len(track.crops) for track in found), tracks + len(found)
            by_index = {frame.index: frame.rgb for frame in sampled}
            for track in found:
                for before, crop, after in zip(track.crops, track.crops[1:], track.crops[2:], strict=False):
                    if crop.detected:
                        continue
                    marks = [face.landmarks for face in detect(by_index[crop.frame])]
                    carried.append(nearest(crop.landmarks, marks, crop.side))
                    if before.detected and after.detected:
                        between.append(nearest((before.landmarks + after.landmarks) / 2, marks, crop.side))
        print(
            f"every {every}: {tracks} tracks, {crops} crops, {lost} not followed, {seconds / len(CLIPS):.2f} s a clip"
        )
        for name, errors in (("carried", carried), ("interpolated", between)):
            if errors:
                print(f"  {name}: off by {np.mean(errors):.4f}, 99 % under {np.percentile(errors, 99):.4f}")


def colours(data: Path) -> None:
    """How alike one face's colours stay within a clip, and how alike those of different clips are."""
    clips = [FaceTracker(detector(), every=1) for _ in CLIPS]
    for clip, tracker in zip(CLIPS, clips, strict=True):
        for frame in frames(data, clip, 16):
            tracker.feed(frame)
    faces = [track.crops for tracker in clips for track in tracker.finish()]
    same = [likeness(a, b) for crops in faces for a, b in zip(crops[::2], crops[2::2], strict=False)]
    other = [likeness(a[0], b[0]) for number, a in enumerate(faces) for b in faces[:number]]
    print(f"one face, two samples on: 1, 5, 50 % {np.percentile(same, [1, 5, 50]).round(2).tolist()}")
    print(f"faces of different clips: 50, 95, 99 % {np.percentile(other, [50, 95, 99]).round(2).tolist()}")


def main() -> None:
    measures = {measure.__name__: measure for measure in (template, framing, speed, sizes, tracking, colours)}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("measure", choices=measures)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    measures[arguments.measure](arguments.data)


if __name__ == "__main__":
    main()
