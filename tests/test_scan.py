"""The scan as a library: what a result holds, how it is decided, and what becomes of bad input.

No test depends on what the screen says about a face: where that matters, its scores are set.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import interceptor
from face_maker import face_clip
from interceptor.detect.result import ScanResult
from interceptor.detect.scan import Scanner
from interceptor.detect.screen import Screen, ScreenNetwork, Seen
from interceptor.runtime import weights
from interceptor.runtime.weights import WeightError
from media_maker import damage, encode, encode_sound, numbered_frames

SetScores = Callable[..., None]


@pytest.fixture
def set_scores(monkeypatch: pytest.MonkeyPatch) -> SetScores:
    """Makes the network give (score, count of crops) after (score, count), in the order of the tracks."""

    def apply(*scores: tuple[float, int]) -> None:
        logits = np.concatenate([np.full(count, score, np.float32) for score, count in scores])

        def score(self: ScreenNetwork, crops: np.ndarray) -> Seen:
            assert len(crops) == len(logits)
            return Seen(
                logits, np.zeros((len(crops), 14, 14), np.float32), np.zeros((len(crops), 49, 3072), np.float32)
            )

        monkeypatch.setattr(ScreenNetwork, "look", score)

    return apply


def test_a_video_with_a_face(scanner: Scanner, media: dict[str, Path]) -> None:
    result = scanner.scan(media["clip"])
    (face,) = result.faces
    assert result.verdict in ("forged", "authentic", "inconclusive")
    assert result.probability == face.probability
    assert 0 <= result.probability <= 1
    assert result.errors == []
    assert (result.coverage.frames_requested, result.coverage.frames_decoded) == (8, 8)
    assert result.coverage.crops_scored == len(face.crops) == face.frames == 8
    assert face.logit == pytest.approx(np.mean([crop.logit for crop in face.crops]))
    assert [crop.frame for crop in face.crops] == list(range(8))
    assert all(0 <= crop.box[0] < crop.box[2] <= 384 and 0 <= crop.box[1] < crop.box[3] <= 224 for crop in face.crops)
    assert face.crops[0].box[0] < face.crops[-1].box[0], "the face drifts to the right"
    assert 0 < face.first < face.last < 24 / 25
    assert result.media.kind == "video"
    assert (result.media.width, result.media.height, result.media.duration) == (384, 224, pytest.approx(24 / 25))
    steps = result.timings
    assert 0 < steps.decode + steps.detect + steps.classify <= steps.total
    crops, heat = result.evidence[face.id].crops, result.evidence[face.id].heat
    assert (crops.shape, heat.shape) == ((8, 224, 224, 3), (8, 14, 14))
    rest = [crop.logit - patches.mean() for crop, patches in zip(face.crops, heat, strict=True)]
    assert np.isfinite(rest).all()


def test_a_picture_with_a_face(scanner: Scanner, media: dict[str, Path]) -> None:
    result = scanner.scan(media["face"])
    assert result.probability is not None
    assert result.media.kind == "picture"
    assert (result.faces[0].frames, len(result.faces[0].crops)) == (1, 1)
    assert result.faces[0].verdict == result.verdict, "a single picture may decide"


def test_a_video_with_two_faces(scanner: Scanner, media: dict[str, Path]) -> None:
    result = scanner.scan(media["two"])
    assert [face.frames for face in result.faces] == [8, 8]
    assert result.coverage.faces == result.coverage.faces_scored == 2
    assert result.probability == max(face.probability for face in result.faces)


def test_a_result_can_be_checked_later(scanner: Scanner, weights_folder: Path, media: dict[str, Path]) -> None:
    result = scanner.scan(media["face"])
    assert result.sha256 == hashlib.sha256(media["face"].read_bytes()).hexdigest()
    assert result.versions.interceptor == interceptor.__version__
    assert result.versions.weights == {
        name: hashlib.sha256((weights_folder / name).read_bytes()).hexdigest()
        for name in ("centerface.onnx", "foundation.safetensors", "localizer.onnx", "screen.onnx")
    }
    assert "localizer.onnx" not in scanner.scan(media["clip"]).versions.weights, "not used for a video"
    again = scanner.scan(str(media["face"]))
    assert again.probability == result.probability


def test_threads_may_share_a_scanner(scanner: Scanner, media: dict[str, Path]) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(scanner.scan, [media["face"]] * 2)
    assert first.errors == second.errors == []
    assert first.probability == second.probability


@pytest.mark.parametrize(
    ("score", "verdict"), [(2.1, "forged"), (1.9, "inconclusive"), (-1.9, "inconclusive"), (-2.1, "authentic")]
)
def test_the_verdict_follows_from_the_thresholds(
    score: float, verdict: str, scanner: Scanner, media: dict[str, Path], set_scores: SetScores
) -> None:
    set_scores((score, 1))
    result = scanner.scan(media["face"])
    assert result.verdict == result.faces[0].verdict == verdict
    assert result.probability == pytest.approx(1 / (1 + np.exp(-score)), abs=1e-6)
    assert (result.threshold, result.authentic_threshold) == pytest.approx((1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))))
    assert (result.probability >= result.threshold) == (verdict == "forged")


def test_each_of_several_faces_is_held_to_a_stricter_rate(weights_folder: Path) -> None:
    screen = Screen(weights_folder, fpr=0.05)
    assert screen.thresholds(1) == pytest.approx((-2.0, 2.0))
    for faces in (2, 5):
        each = 1 - 0.95 ** (1 / faces)  # Sidak: then all n keep the rate together
        share = np.log(each / 0.01) / np.log(0.05 / 0.01)
        assert screen.thresholds(faces)[1] == pytest.approx(4 - 2 * share)
    assert screen.thresholds(5)[1] > screen.thresholds(2)[1] > screen.thresholds(1)[1]
    assert screen.thresholds(10**9)[1] == 6.0, "no further than the curve goes"


def test_a_score_that_convicts_one_face_may_not_convict_one_of_two(
    scanner: Scanner, media: dict[str, Path], set_scores: SetScores
) -> None:
    set_scores((2.2, 8))
    assert scanner.scan(media["clip"]).verdict == "forged"
    set_scores((2.2, 8), (-9.0, 8))
    assert scanner.scan(media["two"]).verdict == "inconclusive"
    set_scores((9.0, 8), (-9.0, 8))
    result = scanner.scan(media["two"])
    assert [face.verdict for face in result.faces] == ["forged", "authentic"]
    assert result.verdict == "forged"


def test_a_face_seen_for_a_moment_does_not_decide(
    scanner: Scanner, media: dict[str, Path], set_scores: SetScores
) -> None:
    set_scores((-9.0, 8), (9.0, 1))
    result = scanner.scan(media["brief"])
    assert result.verdict == "authentic"
    assert [face.verdict for face in result.faces] == ["authentic", "inconclusive"]
    assert "1 sampled frame only" in result.faces[1].reason
    assert result.threshold == pytest.approx(1 / (1 + np.exp(-2))), "one face decides, so its rate is not divided"


def test_of_faces_seen_for_a_moment_only_the_longest_decides(
    weights_folder: Path, tmp_path: Path, set_scores: SetScores
) -> None:
    set_scores((9.0, 2))
    short = Scanner(frames=2, folder=weights_folder).scan(face_clip(tmp_path / "clip.mp4", 4))
    assert (short.verdict, short.faces[0].frames) == ("forged", 2)
    assert short.evidence == {}, "pictures are kept only where a report is asked for"


def test_no_face_is_no_probability(scanner: Scanner, media: dict[str, Path]) -> None:
    result = scanner.scan(media["nobody"])
    assert (result.verdict, result.probability, result.faces, result.errors) == ("no_face", None, [], [])
    assert result.coverage.frames_decoded == 1
    assert result.sha256 is not None


def test_faces_too_small_are_said_to_be_so(scanner: Scanner, media: dict[str, Path], tmp_path: Path) -> None:
    small = Image.new("RGB", (256, 256), (90, 110, 120))
    with Image.open(media["face"]) as face:
        small.paste(face.resize((96, 56)), (80, 100))
    small.save(tmp_path / "small.png")
    result = scanner.scan(tmp_path / "small.png")
    assert result.verdict == "no_face"
    assert result.coverage.failures == {"face_too_small": 1}
    assert "too small" in result.reason


def test_scan_and_predict(media: dict[str, Path]) -> None:
    result = interceptor.scan(media["face"])
    assert isinstance(result, ScanResult)
    assert interceptor.predict(media["face"]) == result.probability
    with pytest.raises(interceptor.NoProbabilityError, match=r"nobody\.png.*No usable face"):
        interceptor.predict(media["nobody"])
    with pytest.raises(interceptor.NoProbabilityError, match=r"missing\.png.*no such file"):
        interceptor.predict(media["face"].with_name("missing.png"))


@pytest.mark.parametrize("settings", [{"fpr": 0.9}, {"fpr": 0.0}, {"fpr": float("nan")}, {"frames": 0}])
def test_wrong_settings_are_refused(settings: dict) -> None:
    with pytest.raises(ValueError, match=r"frames|rate"):
        interceptor.scan("clip.mp4", **settings)


def png(width: int, height: int) -> bytes:
    """The header of a PNG, without any pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def write_bad(kind: str, path: Path) -> None:
    if kind == "empty_file":
        path.touch()
    elif kind == "not_media":
        path.write_text("This is no video.\n" * 50)
    elif kind == "truncated":
        encode(path, numbered_frames(12))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == "no_video":
        encode_sound(path, np.zeros(8000, np.float32))
    elif kind == "no_pixels":
        path.write_bytes(png(0, 0))
    elif kind == "too_large":
        Image.new("1", (20_000, 20_000)).save(path, "PNG", compress_level=1)
    elif kind == "unreadable":
        path.mkdir()
    else:
        assert kind == "not_found"


@pytest.mark.parametrize(
    "kind",
    ["empty_file", "not_media", "truncated", "no_video", "no_pixels", "too_large", "unreadable", "not_found"],
)
def test_bad_input_is_told_with_cause_and_name(kind: str, scanner: Scanner, tmp_path: Path) -> None:
    path = tmp_path / f"{kind}.mp4"
    write_bad(kind, path)
    result = scanner.scan(path)
    assert (result.verdict, result.probability, result.coverage) == ("error", None, None)
    (problem,) = result.errors
    assert problem.cause == kind
    assert problem.message.startswith(f"{path}: ")
    assert result.reason == problem.message
    readable = kind not in ("empty_file", "unreadable", "not_found")
    assert result.sha256 == (hashlib.sha256(path.read_bytes()).hexdigest() if readable else None)


def test_a_pipe_is_refused_and_not_waited_for(scanner: Scanner, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    assert scanner.scan(tmp_path / "pipe.mp4").errors[0].cause == "unreadable"


def test_a_folder_that_cannot_be_listed(scanner: Scanner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object = None) -> None:
        raise PermissionError(13, "Permission denied", os.fspath(tmp_path))

    monkeypatch.setattr(os, "listdir", refuse)  # permission bits do not stop a superuser
    monkeypatch.setattr(os, "scandir", refuse)
    (problem,) = scanner.scan(tmp_path).errors
    assert (problem.cause, problem.message) == ("unreadable", f"{tmp_path}: cannot be read: Permission denied")


def test_one_frame_is_scanned(scanner: Scanner, tmp_path: Path) -> None:
    result = scanner.scan(face_clip(tmp_path / "one.mp4", 1))
    assert result.probability is not None
    assert (result.coverage.frames_requested, result.coverage.frames_decoded) == (1, 1)


def test_a_damaged_video_is_scanned_and_says_what_is_missing(scanner: Scanner, tmp_path: Path) -> None:
    result = scanner.scan(damage(face_clip(tmp_path / "damaged.mp4", gop=4), range(12, 24)))
    lost = result.coverage.frames_requested - result.coverage.frames_decoded
    assert result.probability is not None
    assert lost > 0
    assert sum(result.coverage.failures.values()) == lost


def test_a_fault_of_the_program_does_not_end_the_scan_of_others(
    scanner: Scanner, media: dict[str, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: ScreenNetwork, crops: np.ndarray) -> None:
        raise RuntimeError("the runtime gave up")

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(ScreenNetwork, "look", broken)
        (problem,) = scanner.scan(media["face"]).errors
    assert problem.cause == "internal_error"
    assert problem.message.startswith(f"{media['face']}: ")
    assert "RuntimeError: the runtime gave up" in problem.message
    assert "in broken" in caplog.text, "the traceback is logged"
    assert scanner.scan(media["face"]).errors == []


def test_a_score_that_is_no_number_is_an_error(scanner: Scanner, media: dict[str, Path], set_scores: SetScores) -> None:
    set_scores((float("nan"), 1))
    result = scanner.scan(media["face"])
    assert (result.verdict, result.probability, result.errors[0].cause) == ("error", None, "internal_error")


@pytest.fixture
def damaged(weights_folder: Path, tmp_path: Path) -> Path:
    """A folder of weights to damage."""
    folder = tmp_path / "weights"
    folder.mkdir()
    for file in weights_folder.iterdir():
        if file.name == "foundation.safetensors":
            (folder / file.name).symlink_to(file)
        else:
            shutil.copy(file, folder)
    return folder


@pytest.mark.parametrize("name", ["screen.onnx", "foundation.safetensors", "centerface.onnx"])
def test_a_missing_weight_file_is_named(name: str, damaged: Path) -> None:
    (damaged / name).unlink()
    card = "centerface" if name.startswith("centerface") else "screen"
    expected = json.loads((damaged / f"{card}.json").read_text())["files"][name]
    with pytest.raises(WeightError) as caught:
        Scanner(folder=damaged)
    assert str(damaged / name) in str(caught.value)
    assert expected in str(caught.value)


def test_a_changed_weight_file_is_named_with_both_checksums(damaged: Path) -> None:
    file = damaged / "screen.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(WeightError) as caught:
        Scanner(folder=damaged)
    for part in (
        str(file),
        weights.sha256_of_file(file),
        json.loads((damaged / "screen.json").read_text())["files"]["screen.onnx"],
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize("text", [None, "{", "[]", '{"files": {}}'])
def test_a_card_missing_damaged_or_not_calibrated(text: str | None, damaged: Path) -> None:
    if text is None:
        (damaged / "screen.json").unlink()
    else:
        (damaged / "screen.json").write_text(text)
    with pytest.raises(WeightError, match=r"screen\.json"):
        Scanner(folder=damaged)
