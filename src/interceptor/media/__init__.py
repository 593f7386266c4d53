"""Reading files: containers, stills, frames."""

from interceptor.media.errors import MediaError
from interceptor.media.frames import Frame, FrameReader
from interceptor.media.probe import AudioTrack, MediaInfo, probe
from interceptor.media.stills import read_still

__all__ = ["AudioTrack", "Frame", "FrameReader", "MediaError", "MediaInfo", "probe", "read_still"]
