"""The sound track: a stretch of it on the video's own clock, and its log-mel spectrogram."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import islice
from typing import Any

import av
import numpy as np

from interceptor.media.clips import Sound
from interceptor.media.container import open_container, video_stream
from interceptor.media.errors import MediaError
from interceptor.media.frames import origin_of, packets_of

RATE = 16_000
"""Samples per second of what is read: speech has little above 8 kHz."""
WINDOW = 0.025
HOP = 0.010
MELS = 80
FLOOR_DB = -100.0
"""Lowest level of a spectrogram, dB below a full-scale sine."""
SILENCE = 1e-4
"""Samples no larger than this (-80 dB) are digital silence: what a codec leaves of zeros."""
RUN_IN = 0.25
"""Seconds decoded before a stretch: decoders need some packets before their sound is whole."""


def read_sound(path: str | os.PathLike[str], start: float, end: float) -> Sound | None:
    """The sound from `start` to `end`, in seconds after the video's first frame; None where the file has none there.

    Mono (the mean of all channels), float32 at `RATE`. Where the track begins later or ends earlier, so does the
    result: look at its `start` and length. Holes inside are zeros, and `missing` says how long they are.

    Raises `MediaError`: those of opening the file, and `undecodable` where the track is there but cannot be decoded.
    """
    if not end > start:
        raise ValueError(f"the stretch must have a length, not {start} to {end} s")
    with open_container(path) as container:
        origin = _video_start(path, container)
        track = _track(container)
        if track is None:
            return None
        pieces = list(_pieces(container, track, origin, start, end, seek=start > RUN_IN))
        if start > RUN_IN and (not pieces or pieces[0][0] > start):  # an index that points too late, or none
            with open_container(path) as again:
                pieces = list(_pieces(again, _track(again), origin, start, end, seek=False))
    if not pieces:
        return None
    return _joined(path, pieces, start, end)


def leading_silence(sound: Sound) -> float:
    """Seconds of digital silence at the beginning; all of it where nothing is heard.

    It is told so that it can be cut off: a track moved by padding must not betray itself by the padding.
    """
    heard = np.flatnonzero(np.abs(sound.samples) > SILENCE)
    return float(heard[0] if len(heard) else len(sound.samples)) / sound.rate


def log_mel(samples: np.ndarray, rate: int = RATE, mels: int = MELS) -> np.ndarray:
    """Log-mel spectrogram, float32[mels, frames], dB, from `FLOOR_DB` to about 0 (a full-scale sine); low pitch first.

    Hann windows of 25 ms every 10 ms; frame k is centred on second k / 100 of `samples` (float[k]), with zeros beyond
    both ends. Mel scale of O'Shaughnessy (1987), triangular filters to half the rate (Davis and Mermelstein, 1980).
    """
    width, hop = round(WINDOW * rate), round(HOP * rate)
    frames = len(samples) // hop + 1
    padded = np.zeros((frames - 1) * hop + width, np.float32)
    kept = min(len(samples), len(padded) - width // 2)
    padded[width // 2 : width // 2 + kept] = samples[:kept]
    window = np.hanning(width).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)[::hop] * window
    size = 1 << (width - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(windows, size)) / (window.sum() / 2)
    power = _filters(rate, size, mels) @ (spectrum.T**2)
    return np.maximum(10 * np.log10(np.maximum(power, 1e-30)), FLOOR_DB).astype(np.float32)


@cache
def _filters(rate: int, size: int, mels: int) -> np.ndarray:
    """float64[mels, size // 2 + 1]: triangles, equally wide on the mel scale, each with its peak at 1."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, mels + 2) / 2595) - 1)
    pitch = np.arange(size // 2 + 1) * rate / size
    rising = (pitch - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    falling = (corners[2:, None] - pitch) / (corners[2:] - corners[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling))


def _video_start(path: str | os.PathLike[str], container: Any) -> float:
    """When the first frame is shown, seconds of the container's clock."""
    stream = video_stream(path, container)
    return origin_of(list(islice(packets_of(container, stream), 8))) * float(stream.time_base)


def _track(container: Any) -> Any | None:
    """The track that a player would choose, alone of all streams kept; None where there is none that can be decoded."""
    tracks = [track for track in container.streams.audio if track.codec_context is not None]
    if not tracks:
        return None
    preferred = [track for track in tracks if track.disposition & av.stream.Disposition.default]
    best = (preferred or tracks)[0]
    for stream in container.streams:
        stream.discard = av.stream.Discard.default if stream is best else av.stream.Discard.all
    return best


def _pieces(
    container: Any, track: Any, origin: float, start: float, end: float, *, seek: bool
) -> Iterator[tuple[float, int, np.ndarray]]:
    """(time of its first sample, rate, float32[k]) of each decoded frame that touches the stretch, in time order."""
    with suppress(av.error.FFmpegError):  # what cannot be jumped to is read from where the container stands
        target = max(start - RUN_IN, 0) + origin if seek else 0.0
        container.seek(int(target / float(track.time_base)) if seek else 0, stream=track, backward=True)
    following: float | None = None
    for packet in packets_of(container, track):
        frames: list[av.AudioFrame] = []
        with suppress(av.error.FFmpegError):  # a damaged packet leaves a hole, which is measured
            frames = track.codec_context.decode(packet)
        for frame in frames:
            time = frame.pts * float(frame.time_base) - origin if frame.pts is not None else following
            if time is None:
                time = 0.0
            following = time + frame.samples / frame.sample_rate
            if time >= end:
                return
            if following > start:
                yield time, frame.sample_rate, _mono(frame)


def _mono(frame: av.AudioFrame) -> np.ndarray:
    """float32[samples], -1..1: the mean of the channels, whatever the sample format."""
    data = frame.to_ndarray()
    if not frame.format.is_planar:
        data = data.reshape(-1, frame.layout.nb_channels).T
    if data.dtype.kind == "u":
        data = data.astype(np.float32) - 128
        return data.mean(0) / 128
    scale = 1.0 if data.dtype.kind == "f" else float(np.iinfo(data.dtype).max) + 1
    return (data.astype(np.float64).mean(0) / scale).astype(np.float32)


def _joined(
    path: str | os.PathLike[str], pieces: list[tuple[float, int, np.ndarray]], start: float, end: float
) -> Sound | None:
    """One sound out of decoded pieces, each where its time says."""
    rate = pieces[0][1]
    if any(other != rate for _, other, _ in pieces):
        raise MediaError(path, "undecodable", "the sound track changes its sample rate on the way: re-encode it")
    # Rounded times of neighbouring pieces overlap or part by a sample or two; only longer holes are holes.
    first, last = pieces[0][0], max(time + len(samples) / rate for time, _, samples in pieces)
    joined = np.zeros(round((last - first) * rate) + 1, np.float32)
    filled = np.zeros(len(joined), bool)
    position = 0
    for time, _, samples in pieces:
        place = round((time - first) * rate)
        place = position if abs(place - position) < rate * 0.002 else max(place, 0)
        samples = samples[: len(joined) - place]
        joined[place : place + len(samples)] = samples
        filled[place : place + len(samples)] = True
        position = place + len(samples)
    joined, filled = joined[:position], filled[:position]
    begin, stop = max(0, round((start - first) * rate)), min(len(joined), round((end - first) * rate))
    if stop <= begin:
        return None
    samples = _resampled(joined[begin:stop], rate)
    missing = float(np.count_nonzero(~filled[begin:stop])) / rate
    return Sound(samples=samples, rate=RATE, start=first + begin / rate, missing=missing)


def _resampled(samples: np.ndarray, rate: int) -> np.ndarray:
    """float32[k] at `rate` to float32 at `RATE`, by FFmpeg's polyphase filter, which adds no delay."""
    if rate == RATE:
        return samples
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts = rate, 0
    out = [piece.to_ndarray()[0] for part in (frame, None) for piece in resampler.resample(part)]
    return np.clip(np.concatenate(out), -1, 1)
