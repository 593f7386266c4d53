from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from face_maker import face_clip
from interceptor.cli import app
from interceptor.lenses import LENSES
from interceptor.media import FrameReader, MediaError, probe
from interceptor.media.crops import CONTEXT_SIZE, CROP_SIZE, TEMPLATE, cut
from interceptor.media.native import grid_phase, native_crop
from interceptor.media.tracks import FaceCrop
from interceptor.media.windows import WindowReader, cut_mouth, cut_window
from media_maker import encode, frame_number, numbered_frames
from portraits import background, detector, paste, placement

OLD_444 = Path(__file__).parents[2] / "shared/data/videos/faceforensics/original_sequences/youtube/c23/videos/634.mp4"


def numbers(path: Path, start: float, seconds: float) -> list[int]:
    return [frame_number(frame.rgb) for frame in WindowReader(path, probe(path), start, seconds)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("a.avi", {"codec": "mpeg4"}),
        ("b.avi", {}),  # reordered frames without display times
        ("a.webm", {"codec": "libvpx", "options": {"deadline": "realtime"}}),
        ("a.mp4", {"fps": Fraction(30_000, 1001)}),
    ],
)
def test_a_window_is_every_frame_of_it(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    path = encode(tmp_path / name, numbered_frames(100), **options)  # type: ignore[arg-type]
    rate = float(options.get("fps", 25))  # type: ignore[arg-type]
    assert numbers(path, 40 / rate, 20 / rate) == list(range(40, 60))
    assert numbers(path, 0, 10 / rate) == list(range(10))
    assert numbers(path, 96 / rate, 10 / rate) == list(range(90, 100))
    assert numbers(path, 0, 60) == list(range(100))


def test_a_window_has_the_times_and_pixels_of_a_plain_read(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", numbered_frames(60))
    plain = list(FrameReader(path, probe(path), 60))[30:40]
    window = list(WindowReader(path, probe(path), 30 / 25, 10 / 25))
    assert [frame.time for frame in window] == pytest.approx([frame.time for frame in plain])
    assert all(np.array_equal(one.rgb, other.rgb) for one, other in zip(window, plain, strict=True))


def test_a_clip_holds_everything_that_lenses_ask_for(tmp_path: Path) -> None:
    path = face_clip(tmp_path / "a.mp4", 50)
    info = probe(path)
    window = cut_window(path, info, detector(), crops=3)
    (clip,) = window.clips
    assert not window.failures
    assert clip.crops.shape == (3, CROP_SIZE, CROP_SIZE, 3)
    assert np.linalg.norm(clip.landmarks / CROP_SIZE - TEMPLATE, axis=-1).mean() < 0.05
    assert clip.context is not None
    assert clip.context.shape == (3, CONTEXT_SIZE, CONTEXT_SIZE, 3)
    assert clip.neighbours is not None
    assert clip.native is not None
    assert clip.sound is None
    assert clip.mouth is not None
    assert clip.mouth.frames.shape == (50, 64, 96)
    assert np.all(np.diff(clip.mouth.times) > 0)
    frames = {round(frame.time * 25): frame.rgb for frame in FrameReader(path, info, 50)}
    for time, crop, native, (before, after) in zip(clip.times, clip.crops, clip.native, clip.neighbours, strict=True):
        number = round(time * 25)
        assert native.pixels.shape == (CROP_SIZE, CROP_SIZE, 3)
        found = cv2.matchTemplate(frames[number], native.pixels, cv2.TM_SQDIFF)
        _, _, (left, top), _ = cv2.minMaxLoc(found)
        assert (left % 8, top % 8) == (0, 0)
        assert np.array_equal(frames[number][top : top + CROP_SIZE, left : left + CROP_SIZE], native.pixels)
        points = native.landmarks + np.array([left, top])
        assert np.array_equal(cut(frames[number], points), crop)
        assert np.array_equal(cut(frames[number - 1], points), before)
        assert np.array_equal(cut(frames[number + 1], points), after)


def test_a_short_window_is_moved_into_the_file(tmp_path: Path) -> None:
    path = face_clip(tmp_path / "a.mp4", 50)
    for at, low, high in ((0.0, 0.0, 1.0), (9.0, 1.0, 2.0), (1.02, 0.52, 1.52)):
        (clip,) = cut_window(path, probe(path), detector(), at=at, seconds=1.0).clips
        assert clip.mouth is not None
        assert clip.mouth.times[[0, -1]] == pytest.approx([low, high - 0.04])


def test_a_picture_has_one_crop_and_no_time(tmp_path: Path) -> None:
    scene = paste(background(), placement((320, 180), 150))
    Image.fromarray(scene).save(tmp_path / "a.png")
    (clip,) = cut_window(tmp_path / "a.png", probe(tmp_path / "a.png"), detector()).clips
    assert len(clip.crops) == 1
    assert (clip.neighbours, clip.mouth, clip.sound) == (None, None, None)
    assert clip.context is not None
    assert clip.native is not None


def test_a_variable_frame_rate_keeps_its_crops(tmp_path: Path) -> None:
    source = face_clip(tmp_path / "a.mp4", 30)
    frames = [frame.rgb for frame in FrameReader(source, probe(source), 30)]
    pts = [number + 2 * (number // 4) for number in range(30)]  # each fourth frame stays three times as long
    path = encode(tmp_path / "b.mp4", frames, pts=pts)
    (clip,) = cut_window(path, probe(path), detector(), crops=1).clips
    assert len(clip.crops) == 1
    assert clip.neighbours is not None


def test_one_frame_is_enough_for_a_crop(tmp_path: Path) -> None:
    path = face_clip(tmp_path / "a.mp4", 1)
    (clip,) = cut_window(path, probe(path), detector()).clips
    assert len(clip.crops) == 1
    assert clip.neighbours is None
    assert clip.mouth is None


@pytest.mark.parametrize(("margin", "enough"), [(10, False), (45, True)])
def test_no_surroundings_no_context(tmp_path: Path, margin: int, enough: bool) -> None:
    """A face of 200 pixels in a picture that ends `margin` pixels around it."""
    half = 100 + margin
    scene = paste(background(), placement((320, 180), 200))[180 - half : 180 + half, 320 - half : 320 + half]
    Image.fromarray(scene).save(tmp_path / "tight.png")
    (clip,) = cut_window(tmp_path / "tight.png", probe(tmp_path / "tight.png"), detector()).clips
    assert (clip.context is not None) is enough


def test_nobody_gives_no_clip_and_a_damaged_file_its_cause(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", [background(64, 96)] * 10)
    assert cut_window(path, probe(path), detector()).clips == []
    info = probe(path)
    path.write_bytes(b"")
    with pytest.raises(MediaError, match="empty"):
        cut_window(path, info, detector())


@pytest.mark.parametrize("side", [30, 100, 224, 300])
@pytest.mark.parametrize("phase", [(0, 0), (4, 2)])
def test_native_crops_lie_on_the_grid_inside_the_frame(side: int, phase: tuple[int, int]) -> None:
    height, width = 372, 500
    frame = np.zeros((height, width, 3), np.uint8)
    frame[..., 0] = np.arange(width) % 251
    frame[..., 1] = np.arange(height)[:, None] % 251
    for center in ((250, 180), (3, 5), (497, 370)):
        points = TEMPLATE * side + np.array(center) - side / 2
        crop = native_crop(frame, points, phase)
        left, top = (points - crop.landmarks)[0].round().astype(int)
        assert ((left - phase[0]) % 8, (top - phase[1]) % 8) == (0, 0)
        assert np.array_equal(crop.pixels, frame[top : top + crop.pixels.shape[0], left : left + crop.pixels.shape[1]])
        assert min(crop.pixels.shape[:2]) >= min(max(side, 224), 360)


def test_turned_pictures_move_the_grid(tmp_path: Path) -> None:
    info = probe(encode(tmp_path / "a.mp4", numbered_frames(2, 100, 60)))
    stored = np.zeros((60, 100), int)
    stored[::8], stored[:, ::8] = 1, 1  # first pixels of the blocks
    for turns, rotation in enumerate((0, 270, 180, 90)):
        shown = np.rot90(stored, turns)
        turned = replace(info, rotation=rotation, width=shown.shape[1], height=shown.shape[0])
        x, y = grid_phase(turned)
        # Turned by a half, the block's last pixel comes first: its line of ones then lies one before the next block.
        lines_x, lines_y = np.flatnonzero(shown.all(0)), np.flatnonzero(shown.all(1))
        assert set((lines_x + (rotation in (90, 180)) - x) % 8) == {0}
        assert set((lines_y + (rotation in (180, 270)) - y) % 8) == {0}


def _talker(nod: float, opening: float, number: int) -> FaceCrop:
    """A drawn face: eyes, a nose and a mouth that opens by `opening` pixels, the head moved down by `nod`."""
    points = TEMPLATE * 160 + np.array([40, 30 + nod])
    frame = np.full((260, 260, 3), 150, np.uint8)
    for x, y in points[:3]:
        cv2.circle(frame, (round(16 * x), round(16 * y)), 7 * 16, (40, 40, 40), -1, cv2.LINE_AA, 4)
    x, y = points[3:].mean(0)
    center, axes = (round(16 * x), round(16 * y + 8 * opening)), (26 * 16, round(48 + 8 * opening))
    cv2.ellipse(frame, center, axes, 0, 0, 360, (60, 20, 20), -1, cv2.LINE_AA, 4)
    return FaceCrop(
        number, number / 25, np.zeros(4), points, 1.0, True, cut(frame, points), (np.zeros(512), np.zeros(512)), 160.0
    )


def test_lips_move_and_the_head_does_not() -> None:
    talk = [10.0 * (i % 10 > 5) for i in range(25)]
    nods = [8 * np.sin(i / 4) for i in range(25)]
    still = cut_mouth([_talker(0, 0, i) for i in range(25)]).frames.astype(float)
    nodding = cut_mouth([_talker(nod, 0, i) for i, nod in enumerate(nods)]).frames.astype(float)
    speaking = cut_mouth([_talker(0, opening, i) for i, opening in enumerate(talk)]).frames.astype(float)
    change = [np.abs(np.diff(frames, axis=0)).mean() for frames in (still, nodding, speaking)]
    assert change[0] == 0
    assert change[2] > 2 * change[1]


def test_the_command_writes_a_sheet_for_each_lens_that_sees(tmp_path: Path) -> None:
    path = face_clip(tmp_path / "a.mp4", 30, second=True)
    done = CliRunner().invoke(app, ["lens", str(path), "--out", str(tmp_path / "out"), "--lens", "cm,av"])
    assert done.exit_code == 0, done.output
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["a_face0_cm.png", "a_face1_cm.png"]
    assert "av abstains: the file has no sound here" in done.stderr
    with Image.open(tmp_path / "out" / "a_face0_cm.png") as sheet:
        assert sheet.width > 1800


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["--lens", "xy"], "ll, bg, av"), (["--time", "99"], "is 0.40 s long"), ([], "no usable face")],
)
def test_the_command_says_what_is_wrong(tmp_path: Path, arguments: list[str], word: str) -> None:
    path = encode(tmp_path / "a.mp4", [background(64, 96)] * 10)
    done = CliRunner().invoke(app, ["lens", str(path), "--out", str(tmp_path), *arguments])
    assert done.exit_code == (2 if arguments else 1)
    assert word in done.stderr
    assert list(LENSES) == ["ll", "bg", "av", "cm", "rr", "tm"]


@pytest.mark.skipif(not OLD_444.is_file(), reason=f"a clip is missing: {OLD_444}")
def test_the_far_end_of_4_4_4_video_by_an_old_x264() -> None:
    info = probe(OLD_444)
    reader = WindowReader(OLD_444, info, 11, 0.2)
    found = [frame.rgb for frame in reader]
    assert not reader.failures
    everything = [frame.rgb for frame in FrameReader(OLD_444, info, info.frames or 0)]
    np.testing.assert_array_equal(np.stack(found), np.stack(everything[275:280]))
