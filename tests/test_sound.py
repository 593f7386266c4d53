from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptor.media import MediaError
from interceptor.media.clips import Sound
from interceptor.media.sound import FLOOR_DB, RATE, leading_silence, log_mel, read_sound
from media_maker import damage, encode, encode_sound, numbered_frames

CLICKS = (0.4, 1.0, 1.72)
SIZE = {"width": 32, "height": 32}


def clicks(rate: int, seconds: float = 2.4) -> np.ndarray:
    """float32[k]: short tone bursts that begin at `CLICKS`."""
    times = np.arange(round(seconds * rate)) / rate
    bursts = sum((times >= at) & (times < at + 0.03) for at in CLICKS)
    return (0.5 * np.sin(2 * np.pi * 500 * times) * bursts).astype(np.float32)


def onsets(sound: Sound) -> np.ndarray:
    """Times at which bursts begin, on the video's clock."""
    loud = np.flatnonzero(np.abs(sound.samples) > 0.1)
    first = loud[np.diff(loud, prepend=-RATE) > RATE // 5]
    return sound.start + first / sound.rate


def movie(
    path: Path,
    *,
    rate: int = 44_100,
    layout: str = "stereo",
    codec: str = "pcm_s16le",
    format: str = "s16",
    video_start: float = 0.0,
    sound_start: float = 0.0,
    balance: np.ndarray | None = None,
) -> Path:
    """A clip of 60 frames at 25 a second with bursts at `CLICKS`, its two tracks starting when told."""
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=25, options={"bf": "0"})
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        sound: Any = container.add_stream(codec, rate=rate, layout=layout, format=format)
        for number, rgb in enumerate(numbered_frames(60, 32, 32)):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = number + round(video_start * 25), Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        channels = av.AudioLayout(layout).nb_channels
        weights = np.ones(channels) if balance is None else balance
        planes = (weights[:, None] * clicks(rate)).astype(np.float32)
        dry = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        dry.sample_rate = rate
        converter = av.AudioResampler(format=format, layout=layout, rate=rate, frame_size=1024)
        done = 0
        for piece in [*converter.resample(dry), *converter.resample(None)]:
            piece.pts, piece.time_base = done + round(sound_start * rate), Fraction(1, rate)
            done += piece.samples
            container.mux(sound.encode(piece))
        container.mux(sound.encode())
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mono.mkv", {"layout": "mono"}),
        ("stereo.mkv", {}),
        ("surround.mkv", {"layout": "5.1", "rate": 48_000}),
        ("odd.mkv", {"rate": 11_025, "layout": "mono"}),
        ("odder.mkv", {"rate": 37_800}),
        ("high.mkv", {"rate": 96_000}),
        ("eight.mkv", {"codec": "pcm_u8", "format": "u8"}),
        ("wide.mkv", {"codec": "pcm_s32le", "format": "s32"}),
        ("float.mkv", {"codec": "pcm_f32le", "format": "flt"}),
        ("planar.mp4", {"codec": "alac", "format": "s16p"}),
        ("aac.mp4", {"codec": "aac", "format": "fltp"}),
        ("flac.mkv", {"codec": "flac", "rate": 16_000}),
        ("late.mkv", {"sound_start": 0.2}),
        ("shifted.mkv", {"video_start": 1.2, "sound_start": 1.2}),
        ("behind.mkv", {"video_start": 0.32}),
    ],
)
def test_bursts_are_heard_when_the_video_says(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    path = movie(tmp_path / name, **options)
    moved = np.array(CLICKS) + options.get("sound_start", 0.0) - options.get("video_start", 0.0)
    sound = read_sound(path, 0, 3)
    assert sound is not None
    assert sound.rate == RATE
    assert sound.samples.dtype == np.float32
    assert np.abs(sound.samples).max() == pytest.approx(0.5, abs=0.1)
    assert onsets(sound) == pytest.approx(moved[moved > 0], abs=0.005)
    part = read_sound(path, 0.9, 2.2)
    assert part is not None
    assert part.start == pytest.approx(0.9, abs=0.002)
    inside = moved[(moved > 0.9) & (moved < 2.2)]
    assert onsets(part) == pytest.approx(inside, abs=0.005)


def test_channels_are_averaged(tmp_path: Path) -> None:
    one_sided = read_sound(movie(tmp_path / "left.mkv", balance=np.array([1.0, 0.0])), 0, 3)
    opposed = read_sound(movie(tmp_path / "opposed.mkv", balance=np.array([1.0, -1.0])), 0, 3)
    assert one_sided is not None
    assert opposed is not None
    assert np.abs(one_sided.samples).max() == pytest.approx(0.25, abs=0.02)
    assert np.abs(opposed.samples).max() < 1e-3


def test_a_track_that_begins_late_says_so(tmp_path: Path) -> None:
    path = movie(tmp_path / "late.mkv", sound_start=0.8)
    sound = read_sound(path, 0, 2)
    assert sound is not None
    assert sound.start == pytest.approx(0.8, abs=0.002)
    assert len(sound.samples) == pytest.approx(1.2 * RATE, abs=40)
    assert sound.missing == 0
    assert read_sound(path, 0, 0.5) is None


def test_no_sound_is_none_and_silence_is_told(tmp_path: Path) -> None:
    frames = numbered_frames(30, **SIZE)
    assert read_sound(encode(tmp_path / "dumb.mp4", frames), 0, 1) is None
    silent = read_sound(encode(tmp_path / "silent.mp4", frames, audio=np.zeros(RATE, np.float32)), 0, 1)
    assert silent is not None
    assert leading_silence(silent) == pytest.approx(len(silent.samples) / RATE)
    led = read_sound(encode(tmp_path / "led.mp4", frames, audio=clicks(RATE)), 0, 1)
    assert led is not None
    assert leading_silence(led) == pytest.approx(CLICKS[0], abs=0.07)  # an AAC frame spreads what it holds


def test_sound_without_a_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="sound only"):
        read_sound(encode_sound(tmp_path / "a.m4a", clicks(RATE)), 0, 1)
    with pytest.raises(ValueError, match="length"):
        read_sound(tmp_path / "a.m4a", 2, 1)


def test_a_hole_in_the_track_is_measured(tmp_path: Path) -> None:
    whole = movie(tmp_path / "whole.mkv", layout="mono", rate=16_000)
    holed = tmp_path / "holed.mkv"
    with av.open(str(whole)) as source, av.open(str(holed), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            time = packet.pts * packet.time_base if packet.pts is not None else None
            if time is None or (packet.stream.type == "audio" and 1.2 <= time < 1.5):
                continue
            packet.stream = streams[packet.stream.index]
            target.mux(packet)
    sound = read_sound(holed, 0, 2.3)
    assert sound is not None
    assert sound.missing == pytest.approx(0.3, abs=0.07)
    assert onsets(sound) == pytest.approx(CLICKS, abs=0.005)


def test_damaged_video_packets_do_not_matter(tmp_path: Path) -> None:
    path = damage(movie(tmp_path / "a.mkv"), [3, 4])
    sound = read_sound(path, 0, 3)
    assert sound is not None
    assert onsets(sound) == pytest.approx(CLICKS, abs=0.005)


def test_a_wave_file_is_no_video(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16_000))
    with pytest.raises(MediaError):
        read_sound(tmp_path / "a.wav", 0, 1)


def test_log_mel_of_a_tone() -> None:
    times = np.arange(RATE) / RATE
    low, high = (log_mel(np.sin(2 * np.pi * pitch * times)) for pitch in (400, 4000))
    assert low.shape == (80, 101)
    assert low.dtype == np.float32
    assert low[:, 50].max() == pytest.approx(0, abs=3)
    assert low[:, 50].argmax() < 20 < 55 < high[:, 50].argmax()
    assert low[60:, 50].max() < -50


def test_log_mel_is_centred() -> None:
    samples = np.zeros(RATE)
    samples[RATE // 2] = 1
    heard = log_mel(samples).max(0)
    assert heard.argmax() == 50
    assert heard[[47, 53]].max() == FLOOR_DB


@given(st.floats(0.01, 1.0), st.integers(0, 1000))
def test_log_mel_follows_the_level(gain: float, length: int) -> None:
    noise = np.random.default_rng(length).uniform(-1, 1, 2000 + length)
    loud, soft = log_mel(noise), log_mel(gain * noise)
    assert np.allclose(np.maximum(loud + 20 * np.log10(gain), FLOOR_DB), soft, atol=0.01)
    assert np.isfinite(log_mel(noise[: length // 100])).all()
