"""How fast frames are read: what is skipped, measured against decoding everything.

    python benchmarks/decode.py            # 10 s 720p clips it makes itself, key frames every 250 and every 12 frames
    python benchmarks/decode.py --hour     # one hour of 1080p
    python benchmarks/decode.py FILE --frames 32

Strategies run interleaved; medians in milliseconds of wall time, and the ratio to the first. `sent` is the
number of packets that reached the decoder. All strategies must give the same pixels.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import statistics
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from interceptor.media import FrameReader, probe
from interceptor.media import frames as frames_module
from interceptor.media.packets import PacketPlan


class Everything(PacketPlan):
    """The same choice of frames, with every packet of the file sent to the decoder."""

    def _needed(self) -> Any:
        while (packet := self._read()) is not None:
            yield [packet]

    def _pass_on(self, everything: bool = False) -> Any:
        yield from super()._pass_on(everything)
        if everything:
            while self._queue:
                yield self._queue.popleft(), None


STRATEGIES: dict[str, tuple[type[PacketPlan], bool, bool]] = {
    "decode everything": (Everything, False, False),
    "drop": (PacketPlan, False, False),
    "drop + skip": (PacketPlan, False, True),
    "seek": (PacketPlan, True, False),
    "seek + skip": (PacketPlan, True, True),
}
"""Name to plan, whether it seeks, whether it skips frames that are neither wanted nor referred to."""


def make_clip(path: Path, seconds: float, width: int, height: int, gop: int, preset: str) -> Path:
    """A moving camera over a still scene with drifting grain, encoded by x264."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8)
    scene = cv2.resize(blocks, (width + 200, height + 200))
    grain = rng.normal(0, 4, (height, width + 64, 3)).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=30, options={"preset": preset})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = gop
        for i in range(round(seconds * 30)):
            x, y = int(100 + 90 * np.sin(i / 17)), int(100 + 90 * np.cos(i / 23))
            shift = (i * 7) % 64
            rgb = scene[y : y + height, x : x + width] + grain[:, shift : shift + width]
            frame = av.VideoFrame.from_ndarray(np.clip(rgb, 0, 255).astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read(path: Path, count: int, strategy: str, threads: int | None) -> tuple[float, int, str]:
    """Seconds, packets sent to the decoder, digest of the pixels."""
    plan, seek, skip = STRATEGIES[strategy]
    sent = 0
    decode = frames_module._decode

    def counted(codec: Any, packet: Any) -> Any:
        nonlocal sent
        sent += packet is not None
        return decode(codec, packet)

    frames_module.PacketPlan, frames_module._decode = plan, counted  # type: ignore[misc]
    try:
        reader = FrameReader(path, probe(path), count, threads)
        reader.seek, reader.skip = seek, skip
        digest = hashlib.sha256()
        spent, start = 0.0, time.perf_counter()
        for frame in reader:
            spent += time.perf_counter() - start
            digest.update(frame.rgb.tobytes())
            start = time.perf_counter()
        return spent + time.perf_counter() - start, sent, digest.hexdigest()
    finally:
        frames_module.PacketPlan, frames_module._decode = PacketPlan, decode  # type: ignore[misc]


def compare(path: Path, title: str, count: int, repeats: int, threads: int | None, names: list[str]) -> None:
    start = time.perf_counter()
    info = probe(path)
    print(f"\n{title}: {info.width} x {info.height}, {info.codec}, {info.frames} frames, {info.size / 1e6:.1f} MB")
    print(f"{count} samples; probe: {(time.perf_counter() - start) * 1e3:.0f} ms\n")
    results: dict[str, list[tuple[float, int, str]]] = {name: [] for name in names}
    for _ in range(repeats):
        for name in names:
            results[name].append(read(path, count, name, threads))
    first = statistics.median(seconds for seconds, _, _ in results[names[0]])
    print("| strategy | median ms | ratio | sent | pixels |\n|---|---|---|---|---|")
    for name, runs in results.items():
        median = statistics.median(seconds for seconds, _, _ in runs)
        same = "same" if {digest for _, _, digest in runs} == {results[names[0]][0][2]} else "DIFFERENT"
        print(f"| {name} | {median * 1e3:.0f} | {median / first:.2f} | {runs[0][1]} | {same} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="*", type=Path)
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--only", nargs="+", choices=STRATEGIES, default=list(STRATEGIES))
    parser.add_argument("--hour", action="store_true", help="one hour of 1080p (two minutes, 500 MB of disk)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = [(path, path.name) for path in options.file]
        if options.hour:
            minute = make_clip(Path(folder) / "minute.mp4", 60, 1920, 1080, 250, "veryfast")
            files.append((repeat(minute, Path(folder) / "hour.mp4", 60), "one hour, key frame every 250"))
        elif not files:
            for gop in (250, 12):
                clip = make_clip(Path(folder) / f"{gop}.mp4", 10, 1280, 720, gop, "medium")
                files.append((clip, f"10 s, key frame every {gop}"))
        for path, title in files:
            compare(path, title, options.frames, options.repeats, options.threads, options.only)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory {peak:.0f} MB, making the clips included")


def repeat(source: Path, target: Path, times: int) -> Path:
    """The clip `times` over, packets copied."""
    with av.open(str(target), "w") as sink:
        stream: Any = None
        offset = 0
        for _ in range(times):
            with av.open(str(source)) as container:
                video = container.streams.video[0]
                stream = stream or sink.add_stream_from_template(video)
                for packet in container.demux(video):
                    if packet.size:
                        packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                        packet.stream = stream
                        sink.mux(packet)
                offset += video.duration
    return target


if __name__ == "__main__":
    main()
