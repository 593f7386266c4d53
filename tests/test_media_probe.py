from __future__ import annotations

import dataclasses
import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from interceptor.detect.result import Media
from interceptor.media import FrameReader, MediaError, probe
from media_maker import encode, encode_sound, numbered_frames

SHARED = Path(__file__).parents[2] / "shared" / "data" / "videos"
TONE = np.sin(np.arange(16_000 * 2) * 0.2).astype(np.float32) * 0.3


def stated(path: Path) -> int:
    """Bits per second, as the video stream's header has it."""
    with av.open(str(path)) as container:
        return container.streams.video[0].codec_context.bit_rate or 0


def cause(path: Path | str) -> str:
    with pytest.raises(MediaError) as raised:
        probe(path)
    error = raised.value
    assert (error.path, str(error)) == (path, f"{path}: {error.message}")
    return error.cause


def test_facts_of_a_video(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", numbered_frames(50), audio=TONE)
    info = probe(path)
    assert dataclasses.replace(info, bit_rate=None, audio=()) == dataclasses.replace(
        info,
        kind="video",
        codec="h264",
        pixel_format="yuv420p",
        bit_depth=8,
        width=96,
        height=64,
        rotation=0,
        duration=2.0,
        frames=50,
        frame_rate=25.0,
        constant_frame_rate=True,
        size=path.stat().st_size,
        bit_rate=None,
        audio=(),
    )
    (track,) = info.audio
    assert (track.codec, track.sample_rate, track.channels) == ("aac", 16_000, 1)
    assert track.duration == pytest.approx(2, abs=0.2)
    assert info.bit_rate
    media = Media(**dataclasses.asdict(info))
    assert media.audio[0].codec == "aac"


@pytest.mark.parametrize("suffix", ["mkv", "ts", "webm", "avi", "mpg", "h264"])
def test_length_and_rate_in_every_container(tmp_path: Path, suffix: str) -> None:
    codec = {"webm": "libvpx-vp9", "avi": "mpeg4", "mpg": "mpeg2video"}.get(suffix, "libx264")
    info = probe(encode(tmp_path / f"a.{suffix}", numbered_frames(60), codec=codec))
    assert (info.frames, info.constant_frame_rate, info.audio) == (60, None if suffix == "h264" else True, ())
    assert info.duration == pytest.approx(2.4, abs=0.01)
    assert info.frame_rate == pytest.approx(25, rel=0.01)


def test_a_bit_rate_that_the_file_belies_is_not_believed(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mpg", numbered_frames(50), codec="mpeg1video")
    assert stated(path) == 104_857_200, "MPEG-1's word for a variable rate"
    assert probe(path).bit_rate == path.stat().st_size * 8 / 2.0


def test_a_bit_rate_near_the_files_own_is_believed(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", numbered_frames(50))
    mean = path.stat().st_size * 8 / 2.0
    assert 0 < stated(path) < mean, "the container counts pictures alone"
    assert probe(path).bit_rate == stated(path)


@pytest.mark.parametrize("fps", [Fraction(30000, 1001), 30, 24, 15])
def test_constant_rate_in_milliseconds(tmp_path: Path, fps: Fraction | int) -> None:
    assert probe(encode(tmp_path / "a.mkv", numbered_frames(40), fps=fps)).constant_frame_rate is True


def test_variable_rate(tmp_path: Path) -> None:
    pts = np.cumsum([33, 33, 34, 60] * 10).tolist()
    path = encode(tmp_path / "a.mp4", numbered_frames(40), pts=pts, time_base=Fraction(1, 1000))
    assert probe(path).constant_frame_rate is False


def test_ten_bits_and_rotation(tmp_path: Path) -> None:
    info = probe(encode(tmp_path / "a.mp4", numbered_frames(5), pix_fmt="yuv420p10le", rotation=90))
    assert (info.bit_depth, info.pixel_format) == (10, "yuv420p10le")
    assert (info.rotation, info.width, info.height) == (90, 64, 96)


def test_the_kind_follows_the_content(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4", numbered_frames(5)).rename(tmp_path / "a.jpg")
    assert probe(tmp_path / "a.jpg").kind == "video"
    Image.new("RGB", (8, 8)).save(tmp_path / "b.mp4", "PNG")
    assert probe(tmp_path / "b.mp4").kind == "picture"


NAMES = ["ü 漢 😀.mp4", "a%03d.mp4", "http:x.mp4", "concat:a|b.mp4", "-i.mp4", "a\nb'\".mp4", "#?.mp4"]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encode(tmp_path / "a.mp4", numbered_frames(5)).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for path in (Path(name), name, tmp_path / name):
        assert probe(path).frames == 5
        assert len(list(FrameReader(path, probe(path), 2))) == 2


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.mp4"))
    encode(tmp_path / "a.mp4", numbered_frames(5)).rename(path)
    assert probe(path).frames == 5


def test_bad_input(tmp_path: Path) -> None:
    assert cause(tmp_path / "none.mp4") == "not_found"
    assert cause(tmp_path) == "unreadable"
    (tmp_path / "empty.mp4").touch()
    assert cause(tmp_path / "empty.mp4") == "empty_file"
    (tmp_path / "text.mp4").write_text("This is not a video.\n" * 50)
    assert cause(tmp_path / "text.mp4") == "not_media"
    (tmp_path / "bytes.mp4").write_bytes(bytes(1000))
    assert cause(tmp_path / "bytes.mp4") == "not_media"
    encode_sound(tmp_path / "sound.m4a", TONE)
    assert cause(tmp_path / "sound.m4a") == "no_video"
    encode_sound(tmp_path / "sound.mp4", TONE)
    assert cause(tmp_path / "sound.mp4") == "no_video"


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encode(tmp_path / "a.mp4", numbered_frames(5))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # a test may run as root, whom no mode stops
    assert cause(path) == "unreadable"


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_cut_short(tmp_path: Path, suffix: str) -> None:
    path = encode(tmp_path / f"a.{suffix}", numbered_frames(50))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2 if suffix == "mp4" else 60])
    assert cause(path) == "truncated"


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    encode(tmp_path / "secret.ts", numbered_frames(5))
    (tmp_path / "a.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n")
    assert cause(tmp_path / "a.mp4") == "not_media"
    (tmp_path / "b.mp4").write_text("ffconcat version 1.0\nfile secret.ts\n")
    assert cause(tmp_path / "b.mp4") == "not_media"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_raise_nothing_else(tmp_path: Path, data: st.DataObject) -> None:
    source = tmp_path / "source.mp4"
    if not source.exists():
        encode(source, numbered_frames(20))
    content = bytearray(source.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with suppress(MediaError):
        reader = FrameReader(path, probe(path), 4)
        frames = list(reader)
        assert reader.decoded == len(frames) > 0
        assert len(frames) + sum(reader.failures.values()) == reader.requested


@pytest.mark.skipif(not SHARED.is_dir(), reason="shared/data/videos is missing")
@pytest.mark.parametrize(
    ("name", "frames"),
    [("talking/real/grid_bbaf2n.mpg", 75), ("talking/real/lrs2_sv_fun.avi", 109), ("talking/real/hdtf_1.mp4", 135)],
)
def test_real_files(name: str, frames: int) -> None:
    info = probe(SHARED / name)
    reader = FrameReader(SHARED / name, info, 16)
    times = [frame.time for frame in reader]
    assert info.frames == frames
    assert len(times) == 16
    assert not reader.failures
    assert info.duration is not None
    assert np.abs(times - (np.arange(16) + 0.5) * info.duration / 16).max() < 0.1
