"""How much of its context crop each face shows: what the background lens asks for (`MIN_CONTEXT`).

    python benchmarks/context.py FOLDER [FOLDER ...]      # pictures and videos; of a video the middle frame

For each folder the number of faces, and how many show at least each share. Faces less than half as large as the
largest of their frame are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from interceptor.datasets.listing import media_files
from interceptor.detect.detector import load_detector
from interceptor.media import FrameReader, MediaError, probe
from interceptor.media.crops import MIN_FACE, crop_side
from interceptor.media.faces import FaceDetector
from interceptor.media.windows import inside

SHARES = (0.8, 0.6, 0.5, 0.4, 0.35, 0.3, 0.25, 0.2)


def shares(path: Path, detector: FaceDetector) -> list[float]:
    """Of each large face of a file's middle frame."""
    info = probe(path)
    faces = [face.landmarks for frame in FrameReader(path, info, 1) for face in detector(frame.rgb)]
    sides = [crop_side(landmarks) for landmarks in faces]
    least = max(MIN_FACE, max(sides, default=0.0) / 2)
    return [inside(landmarks, info) for landmarks, side in zip(faces, sides, strict=True) if side >= least]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    detector = load_detector()
    print("| folder | faces |" + "".join(f" {share} |" for share in SHARES))
    print("|---|---|" + "---|" * len(SHARES))
    for folder in parser.parse_args().folders:
        found: list[float] = []
        for path in media_files([folder]):
            try:
                found += shares(path, detector)
            except MediaError as error:
                print(f"{path}: {error.cause}")
        counts = [int((np.array(found) >= share).sum()) for share in SHARES]
        cells = [f"{folder.parent.name}/{folder.name}", len(found), *counts]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
