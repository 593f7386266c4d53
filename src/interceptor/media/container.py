"""Opening a file safely: what can be wrong before the first frame, and how its frames are turned for display."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from interceptor.media.errors import MediaError

FORMATS = (
    "mov,matroska,avi,mpeg,mpegts,mpegvideo,h264,hevc,m4v,av1,obu,ivf,flv,asf,ogg,mxf,nut,rm,dv,wtv,yuv4mpegpipe,mjpeg,vc1,"
    "mp3,wav,w64,aac,flac,aiff,amr,ac3,eac3,caf,au"
)
"""Containers that are read. No playlists (HLS, DASH, concat): they would make the reader open other files."""

HEAD = 4096
"""Bytes at the start of a file from which its type is told."""

ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"styp", b"pnot")


def read_head(path: str | os.PathLike[str]) -> tuple[int, bytes]:
    """Size of a file in bytes, and its first `HEAD` bytes.

    Raises `MediaError`: `not_found`, `unreadable` or `empty_file`.
    """
    try:
        facts = Path(path).stat()
        if stat.S_ISDIR(facts.st_mode):
            raise MediaError(path, "unreadable", "this is a folder, not a file")
        if not stat.S_ISREG(facts.st_mode):
            raise MediaError(path, "unreadable", "this is not a regular file")
        if facts.st_size == 0:
            raise MediaError(path, "empty_file", "the file is empty (0 bytes)")
        with Path(path).open("rb") as file:
            return facts.st_size, file.read(HEAD)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MediaError(path, "not_found", "there is no such file") from error
    except PermissionError as error:
        raise MediaError(path, "unreadable", "no permission to read this file") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise MediaError(path, "unreadable", f"the file cannot be opened: {error}") from error


@contextmanager
def open_container(path: str | os.PathLike[str]) -> Iterator[Any]:
    """A PyAV input container, closed at the end.

    Only the local file itself is opened: no network, no playlist, no file that it refers to.

    Raises `MediaError`: `truncated`, `not_media` or `undecodable`, beside the causes of `read_head`.
    """
    _, head = read_head(path)
    name = os.fspath(path)
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    with ExitStack() as stack:
        source: Any = f"file:{name}"  # a name such as `http:x.mp4` or `concat:a` stays a name
        try:
            name.encode()
        except UnicodeEncodeError:  # not UTF-8 on disk: only Python can open it
            source = stack.enter_context(Path(path).open("rb"))
        try:
            container = stack.enter_context(av.open(source, options=options, metadata_errors="replace"))
        except (av.error.FFmpegError, ValueError) as error:
            raise _explain(path, head, error) from error
        yield container


def _explain(path: str | os.PathLike[str], head: bytes, error: Exception) -> MediaError:
    """Why a container does not open, told from the file's first bytes."""
    if isinstance(error, PermissionError):
        return MediaError(path, "unreadable", "no permission to read this file")
    if head[4:8] in ISO_BOXES:
        return MediaError(path, "truncated", "the MP4's index (moov) is missing or damaged: the file was cut short")
    if head.startswith((b"\x1aE\xdf\xa3", b"FLV\x01", b"OggS", b"\x30\x26\xb2\x75")) or head[8:12] == b"AVI ":
        return MediaError(path, "truncated", "the start is that of a video, but the rest is missing or damaged")
    if isinstance(error, av.error.InvalidDataError | av.error.ArgumentError | EOFError):
        return MediaError(path, "not_media", "the content is no video or picture, whatever the name says")
    return MediaError(path, "undecodable", f"the file cannot be opened: {error}")


def video_stream(path: str | os.PathLike[str], container: Any) -> Any:
    """The stream to read: the largest video stream that is not a cover picture.

    Raises `MediaError`: `no_video`, `no_pixels`, `truncated` or `undecodable` (no decoder).
    """
    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        if not len(container.streams):
            raise MediaError(path, "truncated", "the container has no stream: the file was cut short")
        raise MediaError(path, "no_video", "the file has sound only" if container.streams.audio else "no video stream")
    decodable = [stream for stream in streams if stream.codec_context is not None]
    if not decodable:
        raise MediaError(path, "undecodable", "there is no decoder for this video's codec")
    best = max(decodable, key=lambda stream: stream.codec_context.width * stream.codec_context.height)
    if best.codec_context.width <= 0 or best.codec_context.height <= 0:
        raise MediaError(path, "no_pixels", "the video has a size of 0 x 0")
    for stream in container.streams:
        if stream is not best:
            stream.discard = av.stream.Discard.all  # the demuxer then skips their bytes
    return best


@dataclass(frozen=True)
class Orientation:
    """How stored pixels are turned for display: transposed first, then mirrored."""

    transpose: bool = False
    mirror: bool = False
    """left to right"""
    flip: bool = False
    """top to bottom"""

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Orientation:
        """From the frame's display matrix; angles between are taken to the nearest quarter turn."""
        data = frame.side_data.get("DISPLAYMATRIX")
        if data is None:
            return cls()
        a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()  # x' = a x + c y, y' = b x + d y
        if abs(b) > abs(a):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    @property
    def rotation(self) -> int:
        """Degrees clockwise, 0 to 270; of a mirrored picture the turn that remains when the mirroring is left out."""
        if self.transpose:
            return 270 if self.flip else 90
        return 180 if self.flip else 0

    def apply(self, rgb: np.ndarray) -> np.ndarray:
        """uint8[H, W, 3] as stored to uint8[H, W, 3] as displayed, C-contiguous."""
        if self.transpose:
            rgb = cv2.transpose(rgb)
        if self.mirror or self.flip:
            rgb = cv2.flip(rgb, -1 if self.mirror and self.flip else int(self.mirror))
        return rgb
