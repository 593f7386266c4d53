"""Videos into shards: whatever happens on the way, every video is accounted for and no work is done twice."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from interceptor import cli
from interceptor.datasets import prepare as preparing
from interceptor.datasets.adopt import GIVEN, adopt
from interceptor.datasets.lock import FolderBusyError
from interceptor.datasets.mini import make_mini
from interceptor.datasets.prepare import prepare
from interceptor.datasets.registry import read_set
from interceptor.datasets.samples import ALL, Sampling, samples_of, views_for, whole_blocks
from interceptor.datasets.shards import Row, Shards, ShardWriter
from interceptor.datasets.videos import DatasetError
from interceptor.lenses import LENSES
from interceptor.media.clips import FaceClip, NativeCrop
from interceptor.media.crops import CROP_SIZE, TEMPLATE
from lock_holder import holder
from pretence import DEADLY, Pretence, clip


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six originals and six forgeries, not to be changed."""
    root = tmp_path_factory.mktemp("clips")
    for i in range(6):
        clip(root / "real" / f"{i}.mp4", i)
        clip(root / "fake" / f"{i}.mp4", 10 + i)
    return root


def run(root: Path, out: Path, **settings: Any) -> dict[str, Any]:
    given = {"sampling": Sampling(), "workers": 1, "max_bytes": 1} | settings
    return prepare(read_set("folders", root), out, given.pop("sampling"), Pretence, **given)


def bytes_of(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "shards").glob("*.tar"))}


@pytest.fixture(scope="session")
def prepared(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run that nothing disturbed makes of them; not to be changed."""
    out = tmp_path_factory.mktemp("prepared") / "out"
    summary = run(clips, out)
    assert (summary["videos"], summary["samples"], summary["failed_videos"]) == (12, 24, 0)
    return out


def test_samples_have_all_that_the_lenses_need(prepared: Path, clips: Path) -> None:
    shards = Shards(prepared)
    table = {video.name: video for video in read_set("folders", clips).videos}
    assert shards.prepared["summary"]["samples"] == len(shards) == 24
    for i, row in enumerate(shards.rows):
        video = table[row.video]
        assert (row.label, row.split, row.group, row.source) == (video.label, video.split, video.group, "folders")
        assert row.frame == round(row.time * 25) > 0
        stored = shards.read(i)
        assert row.views == " ".join(ALL)
        assert stored.times == pytest.approx(row.time)
        for code in ("ll", "bg", "cm", "rr", "tm"):
            assert np.isfinite(LENSES[code].look(stored)).all()
        assert stored.sound is not None
        assert len(stored.sound.samples) > 15_000
    assert len({row.key for row in shards.rows}) == 24


def test_the_shards_do_not_depend_on_the_number_of_workers(prepared: Path, clips: Path, tmp_path: Path) -> None:
    run(clips, tmp_path / "two", workers=2)
    assert bytes_of(tmp_path / "two") == bytes_of(prepared)
    assert (tmp_path / "two" / "manifest.csv").read_bytes() == (prepared / "manifest.csv").read_bytes()


def test_a_killed_run_goes_on(prepared: Path, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "if __name__ == '__main__':\n"
        "    from pathlib import Path; from test_prepare import run\n"
        "    run(Path(sys.argv[2]), Path(sys.argv[3]))\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, script, Path(__file__).parent, clips, out], start_new_session=True)
    deadline = time.monotonic() + 300
    while len(list((out / "shards").glob("*.json"))) < 3:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    while _alive(process.pid):  # the workers end by themselves
        assert time.monotonic() < deadline
        time.sleep(0.1)
    before = bytes_of(out)
    assert 3 <= len(before) < 12
    seen: list[tuple[int, int]] = []
    run(clips, out, advance=lambda done, total, note: seen.append((done, total)))
    assert seen[0][0] > 3
    assert seen[-1] == (12, 12)
    assert bytes_of(out) == bytes_of(prepared), "no sample twice, none lost, none changed"
    again = run(clips, out, advance=lambda done, total, note: pytest.fail("all is done"))
    assert again["samples"] == 24


def _alive(session: int) -> bool:
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True


def test_every_failure_is_listed_with_its_cause(tmp_path: Path) -> None:
    root, out = tmp_path / "set", tmp_path / "out"
    clip(root / "real" / "good.mp4", 1)
    clip(root / "fake" / "good.mp4", 2)
    clip(root / "fake" / "deadly.mp4", 3, height=DEADLY)
    clip(root / "real" / "nobody.mp4", 4, bright=True)
    (root / "real" / "text.mp4").write_text("not a video")
    cut = clip(root / "real" / "cut.mp4", 5)
    cut.write_bytes(cut.read_bytes()[:500])
    summary = run(root, out, workers=2)
    assert summary["failures"] == {"crashed": 1, "no_face": 1, "not_media": 1, "truncated": 1}
    assert (summary["videos"], summary["failed_videos"]) == (6, 4)
    with (out / "failures.csv").open(newline="") as file:
        failed = {row["video"]: row["cause"] for row in csv.DictReader(file)}
    assert failed == {
        "fake/deadly.mp4": "crashed",
        "real/nobody.mp4": "no_face",
        "real/text.mp4": "not_media",
        "real/cut.mp4": "truncated",
    }
    assert {row.video for row in Shards(out).rows} == {"real/good.mp4", "fake/good.mp4"}
    clip(root / "real" / "cut.mp4", 5)
    assert run(root, out)["failed_videos"] == 4, "what failed is not tried again"
    assert run(root, out, retry=True)["failures"] == {"crashed": 1, "no_face": 1, "not_media": 1}
    assert "real/cut.mp4" in {row.video for row in Shards(out).rows}


def test_a_folder_made_in_another_way_is_not_gone_on_with(prepared: Path, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(prepared, out)
    with pytest.raises(DatasetError, match="was begun with another sampling"):
        run(clips, out, sampling=Sampling(crops=3))
    table = read_set("folders", clips)
    with pytest.raises(DatasetError, match="was begun with another dataset"):
        prepare(replace(table, dataset="csv"), out, Sampling(), Pretence, workers=1)
    moved = [replace(video, split="test") for video in table.videos]
    with pytest.raises(DatasetError, match="when it was prepared, and is not any more"):
        prepare(replace(table, videos=moved), out, Sampling(), Pretence, workers=1)


def test_a_folder_that_another_process_fills_is_refused(clips: Path, tmp_path: Path) -> None:
    child = holder(tmp_path)
    with pytest.raises(FolderBusyError, match=f"process {child} is writing into it"):
        run(clips, tmp_path)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_no_room_on_the_disk(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(preparing, "MEASURED", 2)
    monkeypatch.setattr(preparing.shutil, "disk_usage", lambda path: usage(10**9, 10**9, 10**6))
    with pytest.raises(DatasetError, match=r"the rest needs about 0.0 GB and 0.0 GB are free"):
        run(clips, tmp_path / "a")
    assert len(list((tmp_path / "a" / "shards").glob("*.json"))) == 1, "what was complete is kept"

    def full(self: ShardWriter, packed: object) -> Row:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ShardWriter, "put", full)
    with pytest.raises(DatasetError, match="no space left on the disk"):
        run(clips, tmp_path / "b")


def test_nothing_begins_with_a_set_of_no_use(clips: Path, tmp_path: Path) -> None:
    for path in (clips / "real").iterdir():
        (tmp_path / "set" / "real").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "set" / "real")
    (tmp_path / "set" / "fake").mkdir()
    with pytest.raises(DatasetError, match="no forged video is there"):
        run(tmp_path / "set", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_views_for_specialists() -> None:
    assert views_for(["ll"]) == ()
    assert views_for(["rr", "bg", "cm"]) == ("context", "native")
    assert views_for(["av", "tm"]) == ("neighbours", "mouth", "sound")
    with pytest.raises(ValueError, match="no specialist xx; there are ll, bg"):
        views_for(["xx"])


def test_windows_are_short_where_no_sound_is_wanted(clips: Path) -> None:
    video = read_set("folders", clips).videos[0]
    assert Sampling().seconds == 2.6
    short = Sampling(windows=2, views=views_for(["tm"]))
    assert short.seconds == pytest.approx(0.6)
    packed, counts = samples_of(replace(video, path=clips / "real" / "0.mp4"), Pretence(), short)
    assert counts["windows"] == 1, "a second holds one window of 0.6 s"
    assert [each.row.frame for each in packed] == [10, 15]
    packed, _ = samples_of(video, Pretence(), Sampling(crops=1, windows=2, views=()))
    assert len(packed) == 2


def test_native_crops_of_large_faces_are_stored_whole() -> None:
    """The lenses at native resolution show the same of what is stored as of what was cut."""
    pixels = np.random.default_rng(0).integers(0, 256, (317, 240, 3), np.uint8)
    crop = NativeCrop(pixels, np.full((5, 2), 100, np.float32))
    kept = whole_blocks(crop)
    np.testing.assert_array_equal(kept.pixels, pixels[:312])
    np.testing.assert_array_equal(kept.landmarks, crop.landmarks)
    clips = [
        FaceClip(np.zeros((1, 224, 224, 3), np.uint8), TEMPLATE[None], np.zeros(1), native=(each,))
        for each in (crop, kept)
    ]
    for code in ("cm", "rr"):
        np.testing.assert_array_equal(*(LENSES[code].look(clip) for clip in clips))


def test_the_whole_chain_with_the_real_detector(tmp_path: Path) -> None:
    """Faces of the miniature sets are found, their lips move, and the command does what it says."""
    pytest.importorskip("skimage")
    make_mini("folders", tmp_path / "set")
    arguments = ["prepare", "folders", str(tmp_path / "set"), str(tmp_path / "out"), "--workers", "1"]
    result = CliRunner().invoke(cli.app, [*arguments, "--for", "bg,av", "--format", "json"])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert (summary["videos"], summary["samples"], summary["failed_videos"]) == (6, 12, 0)
    shards = Shards(tmp_path / "out")
    assert {row.views for row in shards.rows} == {"context mouth sound"}
    for i in range(len(shards)):
        seen = LENSES["av"].look(shards.read(i))
        assert np.abs(seen).max(axis=(0, 2, 3)).min() > 0.2
    result = CliRunner().invoke(cli.app, [*arguments, "--for", "xx"])
    assert result.exit_code == 2
    assert "no specialist xx" in result.stderr


def test_crops_of_others_go_in_as_they_are(tmp_path: Path) -> None:
    root = tmp_path / "crops"
    root.mkdir()
    rows = []
    for i in range(8):
        rgb = cv2.resize(np.random.default_rng(i).integers(0, 256, (6, 6, 3), np.uint8), (224, 224))
        name = f"{i}.png" if i == 7 else f"{i}.jpg"
        Image.fromarray(rgb if i != 6 else rgb[:200]).save(root / name)
        rows.append({"path": name, "label": i % 2, "part": 10 + i // 4, "split": "train", "original": f"{i // 2}.mp4"})
    with (root / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    result = CliRunner().invoke(cli.app, ["prepare", "crops", str(root), str(tmp_path / "out"), "--chunks", "10"])
    assert result.exit_code == 0, result.output
    shards = Shards(tmp_path / "out")
    assert shards.prepared["crop"] == GIVEN
    assert shards.prepared["summary"]["resized"] == 1
    assert {row.chunk for row in shards.rows} == {0, 1}
    assert {(row.shard[:8], row.chunk) for row in shards.rows} == {("train-00", 0), ("train-01", 1)}
    for i, row in enumerate(shards.rows):
        stored = shards.read(i)
        assert stored.crops.shape == (1, 224, 224, 3)
        np.testing.assert_allclose(stored.landmarks[0], TEMPLATE * CROP_SIZE)
        with Image.open(root / row.video) as opened:
            given = np.asarray(opened)
        if row.video == "7.png":
            assert np.abs(stored.crops[0].astype(int) - given).mean() < 1
        elif given.shape == (224, 224, 3):
            np.testing.assert_array_equal(stored.crops[0], given)
    with pytest.raises(DatasetError, match="holds something already"):
        adopt(read_set("csv", root), tmp_path / "out")
