"""A sample as bytes: a clip of one crop encoded as the members of a shard, and decoded again."""

from __future__ import annotations

import hashlib
import io
import json
import wave
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from interceptor.datasets.manifest import Row
from interceptor.media.clips import FaceClip, Mouth, NativeCrop, Sound
from interceptor.media.crops import CROP_SIZE, TEMPLATE

QUALITY = 98
JPEG = (cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)
CONVENTION = f"template {hashlib.sha256(TEMPLATE.tobytes()).hexdigest()[:8]}, {CROP_SIZE} px"
"""How crops are cut, as samples and checkpoints record it: another template, another name."""


@dataclass(frozen=True)
class Packed:
    """A sample encoded for its shard."""

    row: Row
    members: dict[str, bytes]
    """by suffix"""
    talk: dict[str, bytes]
    """mouth and sound; empty where they were packed with the sample before, or where there are none"""


def pack(row: Row, clip: FaceClip, talk: bool = True) -> Packed:
    """Encode a clip of one crop. `talk=False`: mouth and sound are those of the sample before, leave them out.

    Raises `ValueError` for a clip of several crops.
    """
    if len(clip.crops) != 1:
        raise ValueError(f"{row.key}: a sample holds one crop, not {len(clip.crops)}")
    facts: dict[str, Any] = {
        "key": row.key,
        "crop": CONVENTION,
        "time": float(clip.times[0]),
        "landmarks": clip.landmarks[0].tolist(),
    }
    pictures = {"crop.jpg": encode_jpeg(clip.crops[0])}
    if clip.context is not None:
        pictures["context.jpg"] = encode_jpeg(clip.context[0])
    if clip.neighbours is not None:
        pictures["prev.jpg"], pictures["next.jpg"] = (encode_jpeg(picture) for picture in clip.neighbours[0])
    if clip.native is not None:
        pictures["native.png"] = _encoded(".png", clip.native[0].pixels, PNG)
        facts["native_landmarks"] = clip.native[0].landmarks.tolist()
    views = [name for name in ("context", "native", "neighbours", "mouth", "sound") if getattr(clip, name) is not None]
    members = {"json": json.dumps(facts).encode(), **pictures}
    return Packed(replace(row, views=" ".join(views)), members, _talk(clip) if talk else {})


def _talk(clip: FaceClip) -> dict[str, bytes]:
    facts: dict[str, Any] = {}
    members = {}
    if clip.mouth is not None:
        facts["mouth_times"] = clip.mouth.times.tolist()
        with io.BytesIO() as stream:
            np.save(stream, clip.mouth.frames, allow_pickle=False)
            members["mouth.npy"] = stream.getvalue()
    if clip.sound is not None:
        facts |= {"sound_start": clip.sound.start, "sound_missing": clip.sound.missing}
        members["sound.wav"] = _wav(clip.sound)
    return {"talk.json": json.dumps(facts).encode(), **members} if members else {}


def unpack(facts: dict[str, Any], found: dict[str, bytes], wanted: set[str]) -> FaceClip:
    native = mouth = sound = None
    if "native" in wanted:
        native = (NativeCrop(_decoded(found["native.png"]), np.array(facts["native_landmarks"], np.float32)),)
    if wanted & {"mouth", "sound"}:
        talk = json.loads(found["talk.json"])
        if "mouth" in wanted:
            mouth = Mouth(np.load(io.BytesIO(found["mouth.npy"])), np.array(talk["mouth_times"]))
        if "sound" in wanted:
            samples, rate = _samples(found["sound.wav"])
            sound = Sound(samples, rate, talk["sound_start"], talk["sound_missing"])
    pair = [_decoded(found[name]) for name in ("prev.jpg", "next.jpg")] if "neighbours" in wanted else None
    return FaceClip(
        crops=_decoded(found["crop.jpg"])[None],
        landmarks=np.array([facts["landmarks"]], np.float32),
        times=np.array([facts["time"]]),
        context=_decoded(found["context.jpg"])[None] if "context" in wanted else None,
        native=native,
        neighbours=np.stack(pair)[None] if pair else None,
        mouth=mouth,
        sound=sound,
    )


def encode_jpeg(rgb: np.ndarray) -> bytes:
    """`uint8[h, w, 3]` at quality 98, without chroma subsampling."""
    return _encoded(".jpg", rgb, JPEG)


def _encoded(suffix: str, rgb: np.ndarray, options: tuple[int, ...]) -> bytes:
    return cv2.imencode(suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def _decoded(data: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _wav(sound: Sound) -> bytes:
    """16 bits, mono: the float samples came of no more."""
    samples = np.clip(np.rint(sound.samples * 32768), -32768, 32767).astype("<i2")
    with io.BytesIO() as stream:
        with wave.open(stream, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(sound.rate)
            file.writeframes(samples.tobytes())
        return stream.getvalue()


def _samples(data: bytes) -> tuple[np.ndarray, int]:
    with wave.open(io.BytesIO(data)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        return samples, file.getframerate()
