"""Which packets of a video must be decoded to see given moments, and no others.

Time stamps tell which frame is on display at a moment: the last one that starts at or before it. No packet is shown
before its decoding time, and decoding times ascend: so the choice is final as soon as a packet with a later decoding
time comes by. Groups of pictures (a key frame up to the next) in which no moment lies are dropped, or jumped over by
seeking; of the others, every packet up to the last chosen frame goes to the decoder.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from math import inf
from typing import Any

import av

HELD_BYTES = 32 << 20
"""Most that is held back until it is known to be needed; a larger group of pictures is decoded without waiting."""

MAX_REORDER = 16
"""Frames by which decoding order and display order can differ in H.264 and HEVC."""

INDEXED = ("mov", "matroska", "avi")
"""Containers whose index tells where the key frames are."""


class PacketPlan:
    """Iterates over (packet, sample number or None) in decoding order; (None, None) where the decoder must be drained.

    `moments` are the display times sought, ascending, in the stream's ticks, `interval` the mean time between frames,
    and `start` the packets already read from `container`. Afterwards `unseen` counts the samples that lie beyond the
    last frame, and `repeated` those for which the frame of the sample before was still on display.
    """

    def __init__(
        self,
        container: Any,
        stream: Any,
        moments: list[int],
        *,
        interval: float,
        start: Iterable[Any] = (),
        seek: bool = True,
    ) -> None:
        self.unseen = 0
        self.repeated = 0
        self._container = container
        self._stream = stream
        self._moments = moments
        self._interval = interval
        self._seek = seek and any(name in container.format.name for name in INDEXED)
        self._packets: Iterator[Any] = chain(start, container.demux(stream))
        self._position = -inf  # decoding time reached: all frames shown up to here have been read
        self._lead = 0  # most by which a packet's display time exceeded its decoding time
        self._queue: deque[Any] = deque()  # read and needed, not passed on yet
        self._shown: list[int] = []  # display times that can still be chosen, ascending
        self._tail = -inf  # when the last frame read goes off display
        self._chosen: dict[int, int] = {}  # display time to sample number
        self._last: float = -inf  # display time chosen last
        self._decided = 0  # moments for which a frame has been chosen, or none

    def __iter__(self) -> Iterator[tuple[Any, int | None]]:
        for batch in self._needed():
            if batch is None:
                yield from self._pass_on(everything=True)
                yield None, None
                continue
            for packet in batch:
                self._queue.append(packet)
                if packet.pts is not None and not packet.is_discard:  # an edit list discards: decoded, never shown
                    insort(self._shown, packet.pts)
                    self._tail = max(self._tail, packet.pts + max(packet.duration or 0, self._interval))
            self._decide()
            yield from self._pass_on()
        self._decide()
        yield from self._pass_on(everything=True)
        yield None, None

    def _needed(self) -> Iterator[list[Any] | None]:
        """Packets of groups of pictures with a moment in them; None where what follows does not continue what came."""
        held: list[Any] = []
        size = 0
        following = 0  # the first moment not yet passed
        continues = False
        while following < len(self._moments):
            packet = self._read()
            if packet is None:
                break
            if held and packet.is_keyframe and packet.pts is not None and packet.pts <= self._moments[following]:
                if continues:
                    yield None
                held, size, continues = [], 0, False
            held.append(packet)
            size += packet.size
            if self._position > self._moments[following] or size > HELD_BYTES:
                yield held
                held, size, continues = [], 0, True
                following = bisect_left(self._moments, self._position, following)
                if following < len(self._moments) and self._key_ahead(self._moments[following]):
                    yield None
                    self._jump(self._moments[following])
                    continues = False
        yield held

    def _decide(self) -> None:
        """Chooses the frame of every moment before the position."""
        while self._decided < len(self._moments) and self._moments[self._decided] < self._position:
            moment = self._moments[self._decided]
            at = bisect_right(self._shown, moment) - 1
            if at < 0 or (self._position == inf and moment > self._tail + self._interval):
                self.unseen += 1
            elif self._shown[at] <= self._last:
                self.repeated += 1
            else:
                self._last = self._shown[at]
                self._chosen[self._shown[at]] = self._decided
            self._decided += 1

    def _pass_on(self, everything: bool = False) -> Iterator[tuple[Any, int | None]]:
        """Packets whose frames are chosen or can no longer be; `everything`: all up to the last chosen, and no more."""
        latest = max(bisect_right(self._shown, self._position) - 1, 0)
        del self._shown[:latest]
        final = self._shown[0] if self._shown else -inf
        while self._queue and (
            self._chosen if everything else self._queue[0].pts is None or self._queue[0].pts < final
        ):
            packet = self._queue.popleft()
            yield packet, self._chosen.pop(packet.pts, None)
        if everything:
            self._queue.clear()
            self._shown.clear()

    def _read(self) -> Any | None:
        try:
            for packet in self._packets:
                if not packet.size:  # the end, or a repeated frame in an AVI
                    continue
                if packet.pts is None and not self._stream.codec_context.has_b_frames:
                    packet.pts = packet.dts  # AVI has no display times; without reordering they are the decoding times
                if packet.dts is not None:
                    self._position = packet.dts
                    self._lead = max(self._lead, packet.pts - packet.dts if packet.pts is not None else 0)
                elif packet.pts is not None:
                    self._position = packet.pts - MAX_REORDER * self._interval
                return packet
        except av.error.FFmpegError:
            pass  # the container is damaged from here on; the moments beyond count as unseen
        self._position = inf
        return None

    def _key_ahead(self, moment: int) -> bool:
        """Whether the index knows a key frame between here and the moment."""
        if not self._seek:
            return False
        entries = self._stream.index_entries
        at = entries.search_timestamp(moment - self._lead)
        return at >= 0 and entries[at].timestamp > self._position

    def _jump(self, moment: int) -> None:
        """Reading goes on at the last key frame shown at or before the moment."""
        target = moment
        for _ in range(4):  # some indexes know decoding times only, so that the first try can land too late
            packets = self._container.demux(self._stream)
            try:
                self._container.seek(target, stream=self._stream)
                first = next(packets)
            except av.error.FFmpegError:  # a damaged index: reading goes on where the container now stands
                return
            self._packets = chain([first], packets)
            if first.pts is None or first.pts <= moment or first.dts is None:
                return
            target = first.dts - 1
