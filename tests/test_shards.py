"""Prepared folders: what goes in comes out, whatever happens on the way."""

from __future__ import annotations

import multiprocessing
import pickle
import tarfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from interceptor.datasets.packing import pack
from interceptor.datasets.shards import Row, ShardError, Shards, ShardWriter
from interceptor.media.clips import FaceClip, Mouth, NativeCrop, Sound
from interceptor.media.crops import CROP_SIZE, TEMPLATE


def smooth(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """uint8[height, width, 3]: coloured clouds, as compressible as photographs are."""
    return cv2.resize(rng.integers(0, 256, (9, 9, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)


def full_clip(seed: int) -> FaceClip:
    """A clip of one crop that has everything."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (136, 224, 3), np.uint8)
    return FaceClip(
        crops=smooth(rng, 224, 224)[None],
        landmarks=(TEMPLATE * CROP_SIZE)[None] + rng.normal(size=(1, 5, 2)).astype(np.float32),
        times=np.array([1.0 + seed]),
        context=smooth(rng, 320, 320)[None],
        native=(NativeCrop(noise, rng.uniform(0, 136, (5, 2)).astype(np.float32)),),
        neighbours=np.stack([smooth(rng, 224, 224) for _ in range(2)])[None],
        mouth=Mouth(rng.integers(0, 256, (7, 64, 96), np.uint8), 0.5 + np.arange(7) / 25),
        sound=Sound(rng.uniform(-1, 1, 900).astype(np.float32), 16_000, 0.25, 0.125),
    )


def row(i: int, video: str | None = None, **known: object) -> Row:
    values = {"label": i % 2, "method": "swap" if i % 2 else "", "split": "train", "group": f"g{i}", "source": "made"}
    return Row(key=f"k{i}", video=video or f"v{i}.mp4", **{**values, **known})  # type: ignore[arg-type]


def assert_same(stored: FaceClip, clip: FaceClip) -> None:
    assert stored.times == clip.times
    np.testing.assert_array_equal(stored.landmarks, clip.landmarks)
    for field in fields(FaceClip):
        assert (getattr(stored, field.name) is None) == (getattr(clip, field.name) is None), field.name
    for name in ("crops", "context", "neighbours"):
        if getattr(clip, name) is not None:
            old, new = getattr(clip, name).astype(int), getattr(stored, name).astype(int)
            assert old.shape == new.shape
            assert np.abs(old - new).max() <= 5, name
            assert np.abs(old - new).mean() < 1, name
    if clip.native and stored.native:
        np.testing.assert_array_equal(stored.native[0].pixels, clip.native[0].pixels)
        np.testing.assert_array_equal(stored.native[0].landmarks, clip.native[0].landmarks)
    if clip.mouth and stored.mouth:
        np.testing.assert_array_equal(stored.mouth.frames, clip.mouth.frames)
        np.testing.assert_array_equal(stored.mouth.times, clip.mouth.times)
    if clip.sound and stored.sound:
        assert (stored.sound.rate, stored.sound.start, stored.sound.missing) == (16_000, 0.25, 0.125)
        np.testing.assert_allclose(stored.sound.samples, clip.sound.samples, atol=1 / 32768)


def test_a_clip_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    whole = full_clip(0)
    bare = FaceClip(whole.crops, whole.landmarks, whole.times)
    clips = [whole, bare, replace(full_clip(1), sound=None), replace(full_clip(2), mouth=None, native=None)]
    with ShardWriter(tmp_path, "a") as writer:
        written = [writer.write(row(i), clip) for i, clip in enumerate(clips)]
    shards = Shards(tmp_path)
    assert shards.rows == written
    assert [each.views for each in written] == [
        "context native neighbours mouth sound",
        "",
        "context native neighbours mouth",
        "context neighbours sound",
    ]
    for i in (2, 0, 3, 1):
        assert_same(shards.read(i), clips[i])
    few = shards.read(0, views=["context", "sound"])
    assert (few.native, few.neighbours, few.mouth) == (None, None, None)
    assert few.context is not None
    assert few.sound is not None


def test_any_tar_reader_sees_the_webdataset_convention(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "a") as writer:
        for i in range(2):
            writer.write(row(i), full_clip(i))
    with tarfile.open(tmp_path / "shards" / "a-00000.tar") as tar:
        names = tar.getnames()
        picture = tar.extractfile("k0.crop.jpg")
        assert picture is not None
        assert picture.read(3) == b"\xff\xd8\xff"
    suffixes = [
        "json",
        "crop.jpg",
        "context.jpg",
        "prev.jpg",
        "next.jpg",
        "native.png",
        "talk.json",
        "mouth.npy",
        "sound.wav",
    ]
    assert names == [f"k{i}.{suffix}" for i in range(2) for suffix in suffixes]


def test_mouth_and_sound_are_stored_once_for_all_samples_that_share_them(tmp_path: Path) -> None:
    first, other = full_clip(0), full_clip(1)
    second = replace(full_clip(2), mouth=first.mouth, sound=first.sound)
    with ShardWriter(tmp_path, "a") as writer:
        writer.write(row(0, "v"), first)
        writer.write(row(1, "v"), second)
        writer.write(row(2, "w"), other)
    shards = Shards(tmp_path)
    places = [(each.talk_offset, each.talk_size) for each in shards.rows]
    assert places[0] == places[1] != places[2]
    for i, clip in enumerate((first, second, other)):
        assert_same(shards.read(i), clip)


def test_shards_end_at_their_size_but_never_inside_a_video(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "a", max_bytes=1) as writer:
        shared = full_clip(0)
        rows = [writer.write(row(i, f"v{i // 2}"), shared) for i in range(6)]
    assert [each.shard for each in rows] == [f"a-0000{i // 2}.tar" for i in range(6)]
    shards = Shards(tmp_path)
    for i in range(6):
        assert_same(shards.read(i), shared)


def test_a_run_that_breaks_off_leaves_complete_shards_only(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, "a", max_bytes=1)
    for i in range(3):
        writer.write(row(i), full_clip(i))
    del writer  # as a kill does: nothing is closed
    with ShardWriter(tmp_path, "a", max_bytes=1) as writer:
        writer.write(row(7), full_clip(7))
    shards = Shards(tmp_path)
    assert [each.key for each in shards.rows] == ["k0", "k1", "k7"]
    assert_same(shards.read(2), full_clip(7))


def test_select_and_reading_in_other_processes(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "a") as writer:
        for i in range(4):
            writer.write(row(i, split="val" if i == 3 else "train", chunk=i % 2), full_clip(i))
    shards = Shards(tmp_path)
    train = shards.select("train")
    assert [each.key for each in train.rows] == ["k0", "k1", "k2"]
    assert [each.key for each in train.select(chunk=0).rows] == ["k0", "k2"]
    assert [each.key for each in shards.select(keep=lambda each: each.label == 1).rows] == ["k1", "k3"]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert_same(pool.submit(pickle.loads(pickle.dumps(train)).read, 2).result(), full_clip(2))


def test_packed_elsewhere_and_written_here(tmp_path: Path) -> None:
    clip = full_clip(0)
    packed = [pack(row(0, "v"), clip), pack(row(1, "v"), clip, talk=False)]
    with ShardWriter(tmp_path, "a") as writer:
        for each in packed:
            writer.put(pickle.loads(pickle.dumps(each)))
    assert_same(Shards(tmp_path).read(1), clip)
    with pytest.raises(ValueError, match="one crop, not 2"):
        pack(row(0), replace(clip, crops=np.concatenate([clip.crops] * 2)))


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=r"manifest.csv: no such file"):
        Shards(tmp_path)
    with ShardWriter(tmp_path, "a") as writer:
        writer.write(row(0), full_clip(0))
        writer.write(row(1), full_clip(1))
    shards = Shards(tmp_path)
    tar = tmp_path / "shards" / "a-00000.tar"
    data = bytearray(tar.read_bytes())
    second = shards.rows[1].offset
    data[second : second + 2000] = bytes(2000)
    tar.write_bytes(data)
    assert_same(shards.read(0), full_clip(0))
    with pytest.raises(ShardError, match=r"a-00000.tar: sample k1"):
        shards.read(1)
    tar.write_bytes(data[:second])
    with pytest.raises(ShardError, match="cut short"):
        Shards(tmp_path)
    tar.unlink()
    with pytest.raises(ShardError, match="missing"):
        Shards(tmp_path)
    (tmp_path / "manifest.csv").write_text("path,label\n")
    with pytest.raises(ShardError, match="not a manifest"):
        Shards(tmp_path)
