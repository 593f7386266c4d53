from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from interceptor.media import FrameReader, MediaError, probe
from media_maker import damage, encode, frame_number, numbered_frames, packets


def read(path: Path, count: int, **attributes: bool) -> tuple[list[int], FrameReader]:
    reader = FrameReader(path, probe(path), count)
    for name, value in attributes.items():
        setattr(reader, name, value)
    return [frame_number(frame.rgb) for frame in reader], reader


def centres(count: int, total: int) -> list[int]:
    return [int((i + 0.5) * total / count) for i in range(count)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "ts", "webm", "avi", "mpg", "h264"])
def test_even_samples_in_every_container(tmp_path: Path, suffix: str) -> None:
    codec = {"webm": "libvpx-vp9", "avi": "mpeg4", "mpg": "mpeg2video"}.get(suffix, "libx264")
    path = encode(tmp_path / f"a.{suffix}", numbered_frames(90), codec=codec)
    numbers, reader = read(path, 10)
    assert numbers == centres(10, 90)
    assert reader.decoded == reader.requested == 10
    assert not reader.failures


@pytest.mark.parametrize("gop", [1, 5, 250])
@pytest.mark.parametrize("seek", [True, False])
@pytest.mark.parametrize("skip", [True, False])
def test_frames_are_bit_identical_to_a_plain_decode(tmp_path: Path, gop: int, seek: bool, skip: bool) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (100, 160, 3), dtype=np.uint8)
    frames = [np.ascontiguousarray(np.roll(noise, 3 * i, axis=1)[:64, :96] // 2 + i) for i in range(100)]
    path = encode(tmp_path / "a.mp4", frames, gop=gop, options={"bf": "3", "b-pyramid": "normal"})
    whole = [frame.rgb for frame in FrameReader(path, probe(path), 100)]
    assert len(whole) == 100
    for count in (1, 3, 7, 32, 99):
        reader = FrameReader(path, probe(path), count)
        reader.seek, reader.skip = seek, skip
        samples = list(reader)
        assert len(samples) == count
        for sample, number in zip(samples, centres(count, 100), strict=True):
            assert sample.time == pytest.approx(number / 25)
            np.testing.assert_array_equal(sample.rgb, whole[number])


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.avi", "libx264", {}),
        ("a.avi", "mpeg4", {"bf": "2"}),
        ("a.avi", "mjpeg", {}),
        ("a.ts", "mpeg2video", {"bf": "2"}),
        ("a.mkv", "libx265", {"x265-params": "open-gop=1:log-level=none"}),
        ("a.webm", "libvpx", {}),
    ],
)
def test_reordered_and_unreordered_frames(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = encode(tmp_path / name, numbered_frames(60), codec=codec, pix_fmt=pix_fmt, options=options)
    for count in (3, 20, 50, 60):
        numbers, reader = read(path, count)
        assert numbers == centres(count, 60)
        assert not reader.failures


def test_open_groups_of_pictures(tmp_path: Path) -> None:
    options = {"x264-params": "open-gop=1:bframes=3:b-adapt=0:scenecut=0"}
    path = encode(tmp_path / "a.ts", numbered_frames(100), gop=10, options=options)
    for count in (7, 33, 50):
        assert read(path, count)[0] == centres(count, 100)


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(st.integers(1, 40), min_size=5, max_size=60), count=st.integers(1, 12), gop=st.sampled_from([4, 60])
)
def test_variable_frame_rate_gives_what_is_on_display(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], count: int, gop: int
) -> None:
    pts = [0, *np.cumsum(steps[:-1]).tolist()]
    path = tmp_path_factory.mktemp("vfr") / "a.mkv"
    encode(path, numbered_frames(len(pts)), pts=pts, time_base=Fraction(1, 1000), gop=gop)
    info = probe(path)
    assert info.frames == len(pts)
    assert info.duration is not None
    reader = FrameReader(path, info, count)
    samples = list(reader)
    if count >= len(pts):
        assert [frame_number(sample.rgb) for sample in samples] == list(range(len(pts)))
        return
    for sample in samples:
        number = frame_number(sample.rgb)
        moment = int((sample.index + 0.5) * info.duration / count * 1000 + 1e-3)
        assert pts[number] <= moment
        assert number + 1 == len(pts) or moment < pts[number + 1]
        assert sample.time == pytest.approx(pts[number] / 1000)
    assert len(samples) + sum(reader.failures.values()) == count
    assert set(reader.failures) <= {"repeated_frame"}


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirror", [False, True])
def test_rotation(tmp_path: Path, rotation: int, mirror: bool) -> None:
    stored = np.zeros((64, 96, 3), np.uint8)
    stored[:32, :48], stored[:32, 48:], stored[32:, :48] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    path = encode(tmp_path / "a.mp4", [stored] * 3, rotation=rotation, mirror=mirror)
    info = probe(path)
    shown = np.rot90(stored, -rotation // 90)
    if mirror:
        shown = shown[:, ::-1]
    assert (info.height, info.width) == shown.shape[:2]
    if not mirror:
        assert info.rotation == rotation
    for frame in FrameReader(path, info, 3):
        assert frame.rgb.flags.c_contiguous
        assert np.abs(frame.rgb.astype(int) - shown)[8:24, 8:24].max() < 12
        assert np.abs(frame.rgb.astype(int) - shown).mean() < 12


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le", "yuv422p"])
@pytest.mark.parametrize(("colorspace", "color_range"), [(5, 1), (1, 1), (1, 2), (5, 2)])
@pytest.mark.parametrize("size", [(64, 96), (66, 98)])
def test_colours(tmp_path: Path, pix_fmt: str, colorspace: int, color_range: int, size: tuple[int, int]) -> None:
    frame = np.empty((*size, 3), np.uint8)
    frame[:] = (200, 60, 90)
    frame[size[0] // 2 :] = (255, 255, 255)
    tags = {"colorspace": colorspace, "color_range": color_range}
    path = encode(tmp_path / "a.mkv", [frame], pix_fmt=pix_fmt, options={"crf": "4"}, **tags)
    (sample,) = FrameReader(path, probe(path), 1)
    assert probe(path).bit_depth == (10 if "10" in pix_fmt else 8)
    assert np.abs(sample.rgb[8:24, 8:-8].astype(int) - (200, 60, 90)).max() <= 3
    assert sample.rgb[-8:].min() >= 252


def test_odd_sizes(tmp_path: Path) -> None:
    frames = numbered_frames(4, width=97, height=63)
    path = encode(tmp_path / "a.mp4", frames, pix_fmt="yuv444p")
    for frame in FrameReader(path, probe(path), 4):
        assert frame.rgb.shape == (63, 97, 3)
        assert np.abs(frame.rgb.astype(int) - frames[frame.index]).mean() < 6


def test_one_frame(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", numbered_frames(1))
    numbers, reader = read(path, 32)
    assert numbers == [0]
    assert reader.requested == 1


def test_a_start_that_is_not_zero(tmp_path: Path) -> None:
    for start in (1000, -40):
        path = encode(tmp_path / "a.ts", numbered_frames(50), pts=list(range(start, start + 50)))
        reader = FrameReader(path, probe(path), 5)
        assert [(frame_number(f.rgb), round(f.time * 25)) for f in reader] == [(n, n) for n in centres(5, 50)]


def test_a_container_without_a_length(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", numbered_frames(90), options={"preset": "ultrafast"})
    info = replace(probe(path), duration=None, frames=None)
    assert [frame_number(f.rgb) for f in FrameReader(path, info, 9)] == centres(9, 90)


def test_damaged_packets_are_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    path = damage(encode(tmp_path / "a.mp4", numbered_frames(96), gop=8), [24, 25, 26, 27, 28, 29, 30, 31])
    numbers, reader = read(path, 48)
    lost = {n for n in centres(48, 96) if 24 <= n < 32}
    assert set(numbers) == set(centres(48, 96)) - lost
    assert sum(reader.failures.values()) == len(lost)
    assert set(reader.failures) <= {"undecodable_frame", "damaged_frame"}
    numbers, reader = read(path, 96)
    assert set(numbers) == set(range(96)) - set(range(24, 32))
    assert sum(reader.failures.values()) == 8


def test_nothing_decodes(tmp_path: Path) -> None:
    path = damage(encode(tmp_path / "a.mp4", numbered_frames(20)), range(20))
    for count in (5, 20):
        with pytest.raises(MediaError) as raised:
            read(path, count)
        assert raised.value.cause == "undecodable"
        assert str(raised.value).startswith(str(path))


def test_a_file_cut_short_behind_its_index(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mov", numbered_frames(100), gop=10, options={"movflags": "+faststart"})
    remuxed = tmp_path / "b.mp4"
    with av.open(str(path)) as source, av.open(str(remuxed), "w", options={"movflags": "+faststart"}) as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                sink.mux(packet)
    position = packets(remuxed)[60][0]
    remuxed.write_bytes(remuxed.read_bytes()[:position])
    numbers, reader = read(remuxed, 20)
    assert numbers == [n for n in centres(20, 100) if n < 60]
    assert reader.failures == {"missing_frame": 8}


def test_memory_holds_one_frame_at_a_time(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", numbered_frames(60))
    reader = iter(FrameReader(path, probe(path), 60))
    assert frame_number(next(reader).rgb) == 0
    reader.close()  # an iteration can be left at any time


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_animations(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(rgb) for rgb in numbered_frames(20)]
    durations = [40] * 10 + [400] * 10
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, **options)
    info = probe(path)
    assert (info.kind, info.frames, info.constant_frame_rate) == ("animation", 20, False)
    assert info.duration == pytest.approx(4.4)
    numbers, reader = read(path, 11)
    assert numbers == [5, *range(10, 20)]
    assert not reader.failures
    assert read(path, 50)[0] == list(range(20))


def test_a_picture_is_one_frame(tmp_path: Path) -> None:
    Image.fromarray(numbered_frames(6)[5]).save(tmp_path / "a.png")
    numbers, reader = read(tmp_path / "a.png", 32)
    assert numbers == [5]
    assert (reader.requested, reader.decoded) == (1, 1)
