"""The specialists in a scan: what they look at, what is told of them, and what becomes of bad input and bad files."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from face_maker import HEIGHT, WIDTH, face_clip
from interceptor.detect.reading import find_faces
from interceptor.detect.result import ScanResult
from interceptor.detect.router import parse_choice
from interceptor.detect.scan import Scanner
from interceptor.lenses import LENSES
from interceptor.media import FrameReader, probe
from interceptor.media.crops import cut
from interceptor.media.motion import read_motion
from interceptor.media.native import native_crop
from interceptor.media.tracks import FaceTracker
from interceptor.metrics.calibration import Platt
from interceptor.metrics.gates import Gate
from interceptor.metrics.stacking import Calibration, Stack
from interceptor.report.files import json_line
from interceptor.runtime.weights import WeightError
from media_maker import encode
from portraits import background, detector, paste, placement
from tiny_specialists import (
    SECONDS,
    copied,
    quick_screen,
    thresholds,
    voice,
    write_card,
    write_network,
    write_specialists,
)

quick = pytest.fixture(scope="module", autouse=True)(quick_screen)


@pytest.fixture(scope="module")
def full_house(weights_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of the other tests with six made-up specialists. Not to be changed."""
    return copied(weights_folder, tmp_path_factory.mktemp("house"))


@pytest.fixture
def house(weights_folder: Path, tmp_path: Path) -> Path:
    """The same to damage."""
    return copied(weights_folder, tmp_path / "weights")


@pytest.fixture(scope="module")
def scanner(full_house: Path) -> Scanner:
    return Scanner(frames=6, evidence=True, folder=full_house)


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("talking") / "clip.mp4"
    return face_clip(path, int(25 * SECONDS), audio=voice())


def said(result: ScanResult) -> dict[str, float | None]:
    return {code: part.probability for code, part in result.specialists.items()}


def test_all_six_speak_of_a_clip_with_sound(scanner: Scanner, talking: Path) -> None:
    result = scanner.scan(talking)
    assert result.errors == []
    assert list(result.specialists) == list(LENSES)
    for code, score in zip(LENSES, (1.0, -1.0, 2.0, -2.0, 0.5, -0.5), strict=True):
        part = result.specialists[code]
        assert part.probability == pytest.approx(1 / (1 + np.exp(-score)), abs=0.01)
        assert part.weight == 0
        assert part.reason.startswith("leans forged" if score > 0 else "leans authentic")
    assert result.faces[0].specialists == result.specialists
    assert result.screen == result.faces[0].screen
    assert (result.screen.weight, result.screen.probability) == (1.0, result.probability)
    sights = result.evidence[0].sights
    assert set(sights) == set(LENSES)
    assert all(sight.seen.shape == (3, 224, 224) and sight.crop.shape == (224, 224, 3) for sight in sights.values())
    found = json.loads(json_line(result))
    assert set(found["specialists"]["ll"]) == {"probability", "weight", "reason", "saw"}
    assert (found["tier"], found["verdict_from"]) == ("standard", "screen")
    assert found["timings"]["specialists"] > 0


def test_each_says_what_it_saw(scanner: Scanner, talking: Path, media: dict[str, Path]) -> None:
    result = scanner.scan(talking)
    first, last = (result.faces[0].crops[i].time for i in (0, -1))
    every = f"6 crops from {first:.1f} s to {last:.1f} s"
    saw = {code: part.saw for code, part in result.specialists.items()}
    assert [result.screen.saw, *(saw[code] for code in ("ll", "bg", "tm"))] == [every] * 4
    assert saw["cm"] == saw["rr"] == every.replace("6", "4", 1), "native pixels are kept where the face was detected"
    begin, end = map(float, re.fullmatch(r"the window from (\S+) s to (\S+) s", saw["av"]).groups())
    assert (begin, end) == pytest.approx((0, SECONDS), abs=0.1)
    assert result.faces[0].specialists == result.specialists
    still = scanner.scan(media["face"])
    assert (still.screen.saw, still.specialists["ll"].saw) == ("one crop", "one crop")
    assert still.specialists["tm"].saw is still.specialists["av"].saw is None


def test_what_lenses_see_in_a_scan_is_what_they_see_in_a_window(scanner: Scanner, talking: Path) -> None:
    """The crop's own frame, through the same lens: native pixels and neighbours are those of that frame."""
    info = probe(talking)
    tracker = FaceTracker(detector(), grid=(0, 0))
    frames = {}
    for frame in FrameReader(talking, info, 6):
        frames[frame.index] = frame
        tracker.feed(frame)
    (track,) = tracker.finish()
    for crop in track.crops:
        assert (crop.native is not None) == crop.detected
        if crop.native is not None:
            expected = native_crop(frames[crop.frame].rgb, crop.landmarks)
            np.testing.assert_array_equal(crop.native.pixels, expected.pixels)
    everything = list(FrameReader(talking, info, 10_000))
    motion = read_motion(talking, info, detector(), [track], [track.crops], SECONDS / 2)
    inner = [crop for crop in track.crops if 0 < crop.time < everything[-1].time]
    assert set(motion.neighbours) == {(track.id, crop.frame) for crop in inner}
    for crop in inner:
        order = next(i for i, frame in enumerate(everything) if abs(frame.time - crop.time) < 1e-3)
        for pair, near in zip(motion.neighbours[track.id, crop.frame], (order - 1, order + 1), strict=True):
            np.testing.assert_array_equal(pair, cut(everything[near].rgb, crop.landmarks))
    assert len(motion.mouths[track.id].times) == len(everything)


@pytest.mark.parametrize(("layout", "rate"), [("mono", 44_100), ("stereo", 48_000), ("5.1", 48_000), ("mono", 22_050)])
def test_any_sound_track_will_do(layout: str, rate: int, scanner: Scanner, tmp_path: Path) -> None:
    path = face_clip(tmp_path / "clip.mp4", 40, audio=voice(rate), sample_rate=rate, layout=layout)
    result = scanner.scan(path)
    assert result.media.audio[0].sample_rate == rate
    assert said(result)["av"] is not None


def test_at_a_high_frame_rate_a_mouth_is_followed_on_every_second_frame(scanner: Scanner, tmp_path: Path) -> None:
    path = face_clip(tmp_path / "fast.mp4", 60, fps=50, audio=voice(seconds=1.2))
    info = probe(path)
    (track,) = find_faces(path, detector(), frames=6, crops=6, keep=0).tracks
    motion = read_motion(path, info, detector(), [track], [track.crops], 0.6)
    assert len(motion.mouths[track.id].times) == 30
    assert len(motion.neighbours) == 6
    assert said(scanner.scan(path))["av"] is not None


def test_without_sound_the_audio_visual_specialist_abstains(scanner: Scanner, media: dict[str, Path]) -> None:
    result = scanner.scan(media["clip"])
    assert said(result)["av"] is None
    assert "no sound" in result.specialists["av"].reason
    assert [code for code, p in said(result).items() if p is None] == ["av"]


def test_silence_is_no_sign(scanner: Scanner, tmp_path: Path) -> None:
    silent = scanner.scan(face_clip(tmp_path / "silent.mp4", 40, audio=np.zeros(25_600, np.float32)))
    assert silent.specialists["av"].probability is None
    assert "silent" in silent.specialists["av"].reason
    led = voice()
    led[: int(0.9 * 16_000)] = 0
    late = scanner.scan(face_clip(tmp_path / "late.mp4", 40, audio=led)).specialists["av"]
    assert late.probability is None, "padding alone must not be scored"
    assert "1 s are needed" in late.reason


def test_a_picture_has_no_motion(scanner: Scanner, media: dict[str, Path]) -> None:
    result = scanner.scan(media["face"])
    assert [code for code, p in said(result).items() if p is None] == ["av", "tm"]
    assert "no frame before and after" in result.specialists["tm"].reason


def test_one_frame_has_no_motion(scanner: Scanner, tmp_path: Path) -> None:
    result = scanner.scan(face_clip(tmp_path / "one.mp4", 1))
    assert result.probability is not None
    assert [code for code, p in said(result).items() if p is None] == ["av", "tm"]


def test_a_tiny_face_has_native_pixels_around_it(scanner: Scanner, tmp_path: Path) -> None:
    frames = [paste(background(HEIGHT, WIDTH), placement((190, 112), 64))] * 8
    result = scanner.scan(encode(tmp_path / "tiny.mp4", frames, options={"crf": "12"}))
    assert result.faces[0].size < 80
    assert [code for code, p in said(result).items() if p is None] == ["av"]


def test_every_face_has_its_own_specialists(scanner: Scanner, tmp_path: Path) -> None:
    result = scanner.scan(face_clip(tmp_path / "two.mp4", 40, second=True, audio=voice()))
    assert len(result.faces) == 2
    assert all(part.probability is not None for face in result.faces for part in face.specialists.values())
    deciding = max(result.faces, key=lambda face: face.probability)
    assert result.specialists == deciding.specialists


def test_without_a_face_none_speaks(scanner: Scanner, media: dict[str, Path], tmp_path: Path) -> None:
    for path, reason in ((media["nobody"], "no usable face"), (tmp_path / "none.mp4", "not scanned")):
        result = scanner.scan(path)
        assert list(result.specialists) == list(LENSES)
        assert all(part.probability is None and reason in part.reason for part in result.specialists.values())


def test_a_choice_runs_no_others(full_house: Path, talking: Path) -> None:
    result = Scanner(frames=6, specialists=parse_choice("cm"), folder=full_house).scan(talking)
    assert [code for code, p in said(result).items() if p is not None] == ["cm"]
    assert result.specialists["ll"].reason == "was not asked for"
    none = Scanner(frames=6, specialists=parse_choice("none"), folder=full_house).scan(talking)
    assert all(p is None for p in said(none).values())
    assert none.probability == result.probability
    with pytest.raises(ValueError, match="auto, all, none, or of ll"):
        parse_choice("xx")


def test_missing_and_damaged_specialists_are_named_and_the_scan_goes_on(house: Path, talking: Path) -> None:
    (house / "specialist_ll.onnx").unlink()
    (house / "specialist_ll.json").unlink()
    (house / "specialist_bg.onnx").unlink()
    (house / "specialist_cm.onnx").write_bytes(b"damaged")
    scanner = Scanner(frames=6, folder=house)
    result = scanner.scan(talking)
    assert result.probability is not None
    assert [code for code, p in said(result).items() if p is None] == ["ll", "bg", "cm"]
    assert "not installed" in result.specialists["ll"].reason
    missing, damaged = result.errors
    assert {missing.cause, damaged.cause} == {"damaged_specialist"}
    assert "specialist_bg.onnx: missing" in missing.message
    assert "specialist_cm.onnx" in damaged.message
    for digest in (
        hashlib.sha256(b"damaged").hexdigest(),
        json.loads((house / "specialist_cm.json").read_text())["files"]["specialist_cm.onnx"],
    ):
        assert digest in damaged.message
    assert result.specialists["cm"].reason == damaged.message


def test_a_score_that_is_no_number_is_an_abstention(house: Path, talking: Path) -> None:
    write_specialists(house, {"rr": float("nan")})
    result = Scanner(frames=6, folder=house).scan(talking)
    rr = result.specialists["rr"]
    assert (rr.probability, rr.weight, rr.reason) == (None, 0.0, "its network gave a score that is not a number")
    assert result.specialists["cm"].probability is not None
    json_line(result)  # which holds no NaN


def write_ensemble(
    folder: Path, weights: dict[str, float], verdict_from: str, gates: dict[str, Gate] | None = None
) -> None:
    """An ensemble whose members' log-odds are their scores between -5 and 5."""
    members = ("screen", *LENSES)
    straight = Calibration((-5.0, 5.0), (0.0, 1.0), Platt(10.0, -5.0))
    w = tuple(weights.get(m, 0.0) for m in members)
    stack = Stack(members, dict.fromkeys(members, straight), w, 0.0, 1.0, gates or {})
    files = [f"specialist_{code}.onnx" for code in LENSES]
    card = {
        "name": "ensemble",
        "files": {},
        "fitted_with": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files},
        "stack": stack.as_dict(),
        "calibration": {"slope": 1.0, "offset": 0.0},
        "thresholds": thresholds(0.4),
        "verdict_from": verdict_from,
        "why": "measured: adds nothing",
    }
    (folder / "ensemble.json").write_text(json.dumps(card))


def test_an_ensemble_that_earned_it_decides(house: Path, talking: Path) -> None:
    write_ensemble(house, {"av": 0.5, "cm": 0.5}, "ensemble")
    result = Scanner(frames=6, folder=house).scan(talking)
    av, cm = (np.log(p / (1 - p)) for p in (result.specialists["av"].probability, result.specialists["cm"].probability))
    assert result.probability == pytest.approx(1 / (1 + np.exp(-(av + cm) / 2)), abs=1e-6)
    assert (result.specialists["av"].weight, result.screen.weight) == (0.5, 0.0)
    assert result.verdict_from == "ensemble"
    assert result.verdict == "inconclusive"
    assert result.threshold == pytest.approx(1 / (1 + np.exp(-0.4)))
    assert "2 specialists" in result.faces[0].reason


def test_a_gate_asks_for_the_quality(house: Path, talking: Path) -> None:
    shut, open_ = Gate("face_size", 1000.0, above=True), Gate("luma", 1.0, above=True)
    write_ensemble(house, {"av": 0.5, "cm": 0.5, "screen": 0.5}, "ensemble", {"av": shut, "cm": open_})
    result = Scanner(frames=6, folder=house).scan(talking)
    assert (result.specialists["av"].weight, result.specialists["cm"].weight, result.screen.weight) == (0, 0.5, 0.5)
    assert result.specialists["av"].reason == "leans forged; set aside: it counts only with face size above 1000"
    assert result.quality["face_size"] == pytest.approx(result.faces[0].size)
    assert 1 < result.quality["luma"] < 255
    assert json.loads(json_line(result))["quality"] == result.quality
    assert Scanner(frames=6, folder=house, verdict_from="screen").scan(talking).quality is None, "nobody asked"


def test_one_that_did_not_is_told_and_stays_measurable(house: Path, talking: Path) -> None:
    write_ensemble(house, {"screen": 0.5, "av": 0.5}, "screen")
    result = Scanner(frames=6, folder=house).scan(talking)
    assert (result.verdict_from, result.screen.weight) == ("screen", 1.0)
    assert result.specialists["av"].reason == "leans forged; not counted: measured: adds nothing"
    measured = Scanner(frames=6, folder=house, verdict_from="ensemble").scan(talking)
    assert (measured.verdict_from, measured.specialists["av"].weight) == ("ensemble", 0.5)


def test_an_ensemble_of_other_files_does_not_decide(house: Path, talking: Path) -> None:
    write_ensemble(house, {"av": 1.0}, "ensemble")
    write_specialists(house, {"rr": 0.3})
    result = Scanner(frames=6, folder=house).scan(talking)
    assert result.verdict_from == "screen"
    assert "fitted with another specialist_rr.onnx" in result.specialists["av"].reason
    with pytest.raises(ValueError, match="another specialist_rr"):
        Scanner(folder=house, verdict_from="ensemble")


@pytest.mark.parametrize("field", ["stack", "thresholds", "fitted_with"])
def test_a_damaged_ensemble_card_is_named(field: str, house: Path) -> None:
    write_ensemble(house, {"av": 1.0}, "ensemble")
    card = json.loads((house / "ensemble.json").read_text())
    del card[field]
    (house / "ensemble.json").write_text(json.dumps(card))
    with pytest.raises(WeightError, match=r"ensemble\.json"):
        Scanner(folder=house)


def test_the_fast_tier_runs_the_student_alone(house: Path, talking: Path) -> None:
    write_network(house / "student.onnx", {"crops": (TensorProto.UINT8, ["n", 224, 224, 3])}, 3.0)
    write_card(house, "student", thresholds=thresholds())
    result = Scanner(frames=20, tier="fast", evidence=True, folder=house).scan(talking)
    assert (result.verdict, result.tier, result.verdict_from, result.screen) == ("forged", "fast", "student", None)
    assert len(result.faces[0].crops) == 20, "all sampled crops"
    assert all("student alone" in part.reason for part in result.specialists.values())
    assert "student.onnx" in result.versions.weights
    assert result.errors == []


def test_the_fast_tier_follows_nobody_else(house: Path) -> None:
    with pytest.raises(ValueError, match="the student alone, not the ensemble"):
        Scanner(tier="fast", verdict_from="ensemble", folder=house)


def test_the_fast_tier_without_its_network_is_an_error(full_house: Path) -> None:
    with pytest.raises(WeightError, match=r"student\.json"):
        Scanner(tier="fast", folder=full_house)
