"""Frames of a file, spread evenly over its length, in one forward pass."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, chain, islice
from math import floor, inf
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from interceptor.media import animations, stills
from interceptor.media.container import Orientation, open_container, video_stream
from interceptor.media.errors import MediaError
from interceptor.media.packets import PacketPlan
from interceptor.media.probe import MediaInfo

SKIPS_UNREFERENCED = ("h264",)
"""Codecs in which a frame that no other refers to is marked reliably, so that the decoder may leave it out."""

PROGRESSIVE = (0, 1)
"""FFmpeg's field orders unknown and progressive; of others, the two fields of a frame can come in two packets."""

MAX_DELAY = 64
"""Frames that a decoder can still hold when the last packet has gone in."""


@dataclass(frozen=True)
class Frame:
    """One sample."""

    index: int
    """number among the requested samples, from 0"""
    time: float
    """seconds from the start of the video"""
    rgb: np.ndarray
    """uint8[H, W, 3] as displayed, C-contiguous"""


class FrameReader:
    """Iterates over `count` frames in time order: those on display at the centres of `count` equal parts of the length.

    One frame is in memory at a time. `requested` is `count`, or the number of frames if that is smaller (1 for a
    picture). `threads` is the decoder's, by default one for each processor. While iterating, `decoded` grows, and
    `failures` counts by cause what could not be given: `undecodable_frame`, `damaged_frame` (decoded with parts made up
    by the decoder), `missing_frame` (beyond the last one: the file was cut short) and `repeated_frame` (at a variable
    frame rate: the frame given before was still on display). `still` is a picture's pixels once it was given.

    Iterating raises `MediaError`: those of opening the file, and `undecodable` at the end if no frame could be given.
    """

    seek = True
    """Jump between key frames where the container has an index. `benchmarks/decode.py` measures it."""
    skip = True
    """Leave out frames that are neither wanted nor referred to, where the codec marks them."""

    def __init__(self, path: str | os.PathLike[str], info: MediaInfo, count: int, threads: int | None = None) -> None:
        if count < 1:
            raise ValueError(f"count must be at least 1, not {count}")
        self.path = path
        self.info = info
        self.requested = min(count, info.frames) if info.frames else count
        self.failures: Counter[str] = Counter()
        self.decoded = 0
        self.still: np.ndarray | None = None
        self._threads = threads or 0
        self._converter = VideoReformatter()

    def __iter__(self) -> Iterator[Frame]:
        self.failures.clear()
        self.decoded = 0
        sources = {"picture": self._still, "animation": self._animation, "video": self._video}
        for frame in sources[self.info.kind]():
            self.decoded += 1
            yield frame
        if not self.decoded:
            causes = ", ".join(f"{count} x {cause}" for cause, count in self.failures.items())
            raise MediaError(self.path, "undecodable", f"no frame could be decoded ({causes})")

    def _still(self) -> Iterator[Frame]:
        self.still = stills.read_still(self.path)
        yield Frame(0, 0.0, self.still)

    def _animation(self) -> Iterator[Frame]:
        image = stills.open_picture(self.path)
        if image is None:
            raise MediaError(self.path, "undecodable", "the file has changed since it was probed")
        with image:
            starts = [0.0, *accumulate(animations.frame_durations(self.path, image.format or ""))]
            wanted = sorted({bisect_right(starts, moment + 1e-6) - 1 for moment in self._moments(starts[-1])})
            if self.requested == self.info.frames:
                wanted = list(range(self.requested))
            self._count("repeated_frame", self.requested - len(wanted))
            for index, (number, rgb) in enumerate(animations.composited(image, wanted)):
                if rgb is None:
                    self._count("undecodable_frame", 1)
                else:
                    yield Frame(index, starts[number], rgb)

    def _video(self) -> Iterator[Frame]:
        with open_container(self.path) as container:
            stream = video_stream(self.path, container)
            stream.codec_context.thread_type = "AUTO"
            stream.codec_context.thread_count = self._threads
            if "matroska" in container.format.name:
                with suppress(av.error.FFmpegError):  # the index at the file's end is read at the first seek
                    container.seek(stream.start_time or 0, stream=stream)
            start = list(islice(packets_of(container, stream), 8))
            reorders = stream.codec_context.has_b_frames
            stamped = all(packet.pts is not None or (packet.dts is not None and not reorders) for packet in start)
            if container.format.name == "avi" and reorders:  # it has no display times; those that appear are made up
                stamped = False
            if stamped and self.requested != self.info.frames:
                yield from self._planned(container, stream, start)
            else:
                yield from self._numbered(container, stream, start, stamped)

    def _planned(self, container: Any, stream: Any, start: list[Any]) -> Iterator[Frame]:
        """Samples by time stamp: only what they need is decoded."""
        tick = float(stream.time_base)
        origin = origin_of(start)
        length = self.info.duration or _extent(self.path)[1]
        interval = 1 / (tick * (self.info.frame_rate or 25))
        moments = [origin + floor(moment / tick + 1e-6) for moment in self._moments(length)]  # a tie: the later frame
        plan = PacketPlan(container, stream, moments, interval=interval, start=start, seek=self.seek)
        codec = stream.codec_context
        skips = self.skip and codec.name in SKIPS_UNREFERENCED and codec.field_order in PROGRESSIVE
        if "4:4:4" in (codec.profile or "") and start:
            # x264 before build 151 coded 4:4:4 in its own way, and only the first packet tells the decoder the build.
            _decode(codec, start[0])
            _decode(codec, None)
        sought: dict[int, int] = {}  # display time to sample number
        for packet, sample in plan:
            if sample is not None:
                sought[packet.pts] = sample
            if skips and packet is not None:
                codec.skip_frame = "NONREF" if sample is None and packet.pts is not None else "DEFAULT"
            for frame in _decode(codec, packet):
                if frame.pts in sought:
                    yield from self._give(frame, sought.pop(frame.pts), (frame.pts - origin) * tick)
        self._count("undecodable_frame", len(sought))
        self._count("missing_frame", plan.unseen)
        self._count("repeated_frame", plan.repeated)

    def _numbered(self, container: Any, stream: Any, start: list[Any], stamped: bool) -> Iterator[Frame]:
        """Samples by number, everything decoded: where all frames are wanted, or time stamps are missing."""
        total = self.info.frames or _extent(self.path)[0]
        self.requested = min(self.requested, total)
        wanted = {number: sample for sample, number in enumerate(self._numbers(total))}
        rate = self.info.frame_rate or 25
        origin = origin_of(start)
        number = seen = 0
        for packet in chain(start, packets_of(container, stream), [None]):
            seen += packet is not None
            for frame in _decode(stream.codec_context, packet):
                if number in wanted:
                    known = stamped and frame.pts is not None
                    time = (frame.pts - origin) * float(stream.time_base) if known else number / rate
                    yield from self._give(frame, wanted.pop(number), time)
                number += 1
        self._count("undecodable_frame", min(seen - number, len(wanted)))
        self._count("missing_frame", len(wanted) - self.failures["undecodable_frame"])

    def _give(self, frame: av.VideoFrame, index: int, time: float) -> Iterator[Frame]:
        if frame.is_corrupt:  # the decoder filled in what it could not read
            self._count("damaged_frame", 1)
            return
        # Accurate rounding: the fast path is off by up to 2 levels, and by another amount at odd sizes.
        rgb = self._converter.reformat(
            frame,
            format="rgb24",
            interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND,
            dst_color_range=ColorRange.JPEG,
            threads=1,  # a second one costs more of the processor than it saves in time
        ).to_ndarray()
        yield Frame(index, time, Orientation.of(frame).apply(rgb))

    def _moments(self, length: float) -> list[float]:
        """Centres of `requested` equal parts of the length, in seconds."""
        return [(sample + 0.5) * length / self.requested for sample in range(self.requested)]

    def _numbers(self, total: int) -> list[int]:
        """The same as numbers of frames, of a file of `total` frames."""
        return [int((sample + 0.5) * total / self.requested) for sample in range(self.requested)]

    def _count(self, cause: str, count: int) -> None:
        if count > 0:
            self.failures[cause] += count


def packets_of(container: Any, stream: Any) -> Iterator[Any]:
    """The packets of a stream, up to its end or to where its container is damaged."""
    with suppress(av.error.FFmpegError):
        yield from (packet for packet in container.demux(stream) if packet.size)


def _decode(codec: Any, packet: Any | None) -> list[av.VideoFrame]:
    """Frames that come out when a packet goes in; None takes out the rest and readies the decoder for a new start."""
    frames: list[av.VideoFrame] = []
    if packet is not None:
        with suppress(av.error.FFmpegError):  # a frame that is sought and does not come out is counted by the caller
            frames = codec.decode(packet)
        return frames
    for _ in range(MAX_DELAY):
        try:
            frames += codec.decode(None)
            break
        except EOFError:
            break
        except av.error.FFmpegError:  # this frame is lost, those behind it are not
            continue
    codec.flush_buffers()
    return frames


def origin_of(start: list[Any]) -> int:
    """When the first frame is shown, in ticks; the container's own start time can be that of decoding."""
    stamps = [packet.pts if packet.pts is not None else packet.dts for packet in start if not packet.is_discard]
    return min((stamp for stamp in stamps if stamp is not None), default=0)


def _extent(path: str | os.PathLike[str]) -> tuple[int, float]:
    """Frames and seconds of a video whose container states neither, from all its packets (read, not decoded)."""
    packets, first, last = 0, inf, -inf
    with open_container(path) as container:
        stream = video_stream(path, container)
        for packet in packets_of(container, stream):
            packets += 1
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is not None:
                first, last = min(first, stamp), max(last, stamp + (packet.duration or 0))
        return packets, (last - first) * float(stream.time_base) if last > first else 0.0
