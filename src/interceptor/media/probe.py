"""What a file is: kind, size, length, tracks. Cheap: headers, a bounded number of packets, one decoded frame."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import av
from PIL import Image

from interceptor.media import animations, stills
from interceptor.media.container import Orientation, open_container, read_head, video_stream
from interceptor.media.errors import MediaError

PACKETS = 2000
"""Video packets looked at: about a minute. Files that end within them are measured, longer ones believed."""

FIRST_FRAME_PACKETS = 64
"""Packets tried for a first frame, whose side data says how the video is turned."""


@dataclass(frozen=True)
class AudioTrack:
    codec: str
    sample_rate: int
    """Hz"""
    channels: int
    duration: float | None
    """seconds; None where the container does not say"""


@dataclass(frozen=True)
class MediaInfo:
    """Facts about a file, as probed."""

    kind: Literal["video", "picture", "animation"]
    container: str
    codec: str
    pixel_format: str
    bit_depth: int
    width: int
    """pixels, as displayed (after rotation; pixels that are not square are not resampled)"""
    height: int
    """pixels, as displayed (after rotation)"""
    rotation: int
    """degrees clockwise by which stored pixels are turned for display: 0, 90, 180 or 270"""
    duration: float | None
    """seconds"""
    frames: int | None
    """frames in the file; None where it can only be counted by reading all of it"""
    frame_rate: float | None
    """mean frames per second"""
    constant_frame_rate: bool | None
    """None where there are too few time stamps to tell"""
    bit_rate: int | None
    """bits per second of the picture stream, or of the whole file"""
    audio: tuple[AudioTrack, ...]
    size: int
    """bytes"""


def probe(path: str | os.PathLike[str]) -> MediaInfo:
    """Facts about a video, a picture or an animated picture, told from its content, not from its name.

    Raises `MediaError`.
    """
    size, head = read_head(path)
    image = stills.open_picture(path)
    if image is not None:
        with image:
            return _probe_picture(path, image, size, head)
    with open_container(path) as container:
        return _probe_video(path, container, size)


def _probe_picture(path: str | os.PathLike[str], image: Image.Image, size: int, head: bytes) -> MediaInfo:
    name = (image.format or "").lower()
    width, height = image.size
    rotation = stills.TURNS.get(stills.orientation(image), 0)
    if rotation in (90, 270) and image.format != "TIFF":  # Pillow states TIFF sizes as displayed
        width, height = height, width
    delays = animations.frame_durations(path, image.format or "")
    animated = len(delays) > 1
    duration = sum(delays) if animated else None
    return MediaInfo(
        kind="animation" if animated else "picture",
        container=name,
        codec=name,
        pixel_format=image.mode,
        bit_depth=stills.bit_depth(image, head),
        width=width,
        height=height,
        rotation=rotation,
        duration=duration,
        frames=len(delays) if animated else 1,
        frame_rate=len(delays) / duration if duration else None,
        constant_frame_rate=max(delays) - min(delays) < 0.001 if animated else None,
        bit_rate=round(size * 8 / duration) if duration else None,
        audio=(),
        size=size,
    )


def _probe_video(path: str | os.PathLike[str], container: Any, size: int) -> MediaInfo:
    stream = video_stream(path, container)
    tick = float(stream.time_base or 0)
    look = _look(stream, container.demux(stream))
    if not look.packets:
        raise MediaError(path, "truncated", "the video stream holds no frame: the file was cut short")
    rate = float(stream.average_rate or stream.guessed_rate or 0) or None
    stamps = look.stamps
    span = (stamps[-1] - stamps[0]) * tick if len(stamps) > 1 else None
    interval = span / (len(stamps) - 1) if span else 1 / rate if rate else None

    duration = stream.duration * tick if stream.duration else None
    if look.complete and not stream.frames and interval:  # measured: without a frame table the header only guesses
        duration = span + (look.last_duration * tick or interval) if span else look.packets * interval
    elif duration is None and container.duration:
        duration = container.duration / av.time_base

    frames = stream.frames or (look.packets if look.complete else None)
    codec = stream.codec_context
    pixels = look.frame.format if look.frame else codec.format
    orientation = Orientation.of(look.frame) if look.frame else Orientation()
    width, height = codec.width, codec.height
    bit_rate = codec.bit_rate or container.bit_rate or None
    mean = size * 8 / duration if duration else None
    if mean and (bit_rate is None or bit_rate > 2 * mean):  # MPEG-1 headers give 104 Mbit/s for "variable"
        bit_rate = mean
    return MediaInfo(
        kind="video",
        container=container.format.name,
        codec=codec.name,
        pixel_format=pixels.name if pixels else "unknown",
        bit_depth=max(component.bits for component in pixels.components) if pixels else 8,
        width=height if orientation.transpose else width,
        height=width if orientation.transpose else height,
        rotation=orientation.rotation,
        duration=duration,
        frames=frames,
        frame_rate=rate,
        constant_frame_rate=_constant(stamps),
        bit_rate=round(bit_rate) if bit_rate else None,
        audio=tuple(_audio_track(track) for track in container.streams.audio if track.codec_context is not None),
        size=size,
    )


@dataclass
class _Look:
    """What the first packets say."""

    packets: int = 0
    complete: bool = False
    """the file ended within `PACKETS`"""
    stamps: list[int] = field(default_factory=list)
    """display times in ticks, ascending; without those at an open end, where reordered ones may be missing"""
    last_duration: int = 0
    """ticks for which the latest of them is shown; 0 where the container does not say"""
    frame: av.VideoFrame | None = None
    """the first that decodes"""


def _look(stream: Any, packets: Iterable[Any]) -> _Look:
    look = _Look(complete=True)
    stamps: list[int] = []
    latest = 0
    stream.codec_context.thread_count = 1  # more threads would only delay the first frame
    try:
        for packet in packets:
            if look.frame is None and look.packets < FIRST_FRAME_PACKETS:
                look.frame = _first(stream, packet)
            if not packet.size:
                continue
            if look.packets == PACKETS:
                look.complete = False
                break
            if packet.is_discard:  # cut off by an edit list: decoded, never shown
                continue
            look.packets += 1
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is not None:
                if not stamps or stamp > latest:
                    latest, look.last_duration = stamp, packet.duration or 0
                stamps.append(stamp)
    except av.error.FFmpegError:  # damaged further on: what was seen counts
        pass
    stamps.sort()
    look.stamps = stamps if look.complete else stamps[:-32]
    return look


def _first(stream: Any, packet: Any) -> av.VideoFrame | None:
    try:
        return next(iter(stream.decode(packet)), None)
    except (av.error.FFmpegError, EOFError):
        return None


def _constant(stamps: list[int]) -> bool | None:
    """Whether frames come at one rate: steps differ by no more than the rounding to ticks, or by 1 %."""
    if len(stamps) < 3:
        return None
    steps = [after - before for before, after in pairwise(stamps)]
    return max(steps) - min(steps) <= max(1, 0.01 * min(steps))


def _audio_track(track: Any) -> AudioTrack:
    codec = track.codec_context
    duration = float(track.duration * track.time_base) if track.duration else None
    return AudioTrack(codec=codec.name, sample_rate=codec.sample_rate, channels=codec.channels, duration=duration)
