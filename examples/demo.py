"""Make a clip of a public-domain portrait and a forgery of it, scan both, write the report.

    python examples/demo.py --out demo

The portrait is NASA's photograph of Eileen Collins, which scikit-image carries. The camera drifts and zooms over it;
the forged clip has the face blended onto itself (a self-blended image) before the same camera looks at it. Nothing
here knows what the scan will say.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from skimage.data import astronaut

from interceptor.detect.detector import load_detector
from interceptor.detect.scan import Scanner
from interceptor.forges.self_blend import self_blend
from interceptor.report.html import write_html

SECONDS, RATE, WIDTH, HEIGHT = 4, 25, 640, 480


def write_clip(path: Path, portrait: np.ndarray) -> None:
    """A drifting, slowly zooming look at a picture uint8[H, W, 3], as H.264."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(RATE))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "20"}
        for i in range(SECONDS * RATE):
            turn = 2 * np.pi * i / (SECONDS * RATE)
            scale = 1.35 + 0.15 * np.sin(turn)
            centre = np.array([225 + 18 * np.cos(turn), 150 + 10 * np.sin(2 * turn)])
            matrix = cv2.getRotationMatrix2D(tuple(centre), 3 * np.sin(turn), scale)
            matrix[:, 2] += np.array([WIDTH / 2, HEIGHT / 2]) - centre
            view = cv2.warpAffine(
                portrait, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
            )
            for packet in stream.encode(av.VideoFrame.from_ndarray(view, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("demo"))
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    portrait = astronaut()
    face = load_detector()(portrait)[0]
    forgery = self_blend(portrait, face.landmarks, np.random.default_rng(3))
    write_clip(out / "unaltered.mp4", forgery.real)
    write_clip(out / "self_blended.mp4", forgery.fake)

    scanner = Scanner(evidence=True)
    results = [scanner.scan(out / name) for name in ("unaltered.mp4", "self_blended.mp4")]
    for result in results:
        print(f"{result.path}: {result.verdict}, probability {result.probability:.3f}. {result.reason}")
    write_html(results, out / "report", scanner.screen.card)
    print(f"report: {out / 'report' / 'index.html'}")


if __name__ == "__main__":
    main()
