"""Public sets of videos: their layouts, labels and splits, and what can be wrong with a copy."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from interceptor import cli
from interceptor.datasets import mini
from interceptor.datasets.check import crossings, problems, remarks, report
from interceptor.datasets.mini import MINIS, make_mini
from interceptor.datasets.registry import SETS, read_set
from interceptor.datasets.videos import Choice, DatasetError, Table, Video, components, grouped, seeded

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def empty_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layouts are read by names alone: a byte in place of each clip will do."""

    def touch(path: Path, *_: object) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0")

    monkeypatch.setattr(mini, "write_clip", touch)


def invoke(*arguments: object) -> Result:
    result = CliRunner().invoke(cli.app, [*map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def by_name(table: Table) -> dict[str, Video]:
    return {video.name: video for video in table.videos}


@pytest.mark.parametrize("name", SETS)
def test_every_mini_is_a_valid_copy(name: str, tmp_path: Path) -> None:
    count = make_mini(name, tmp_path / "mini")
    for split in ("official", "seeded"):
        table = read_set(name, tmp_path / "mini", Choice(split))
        found = report(table)
        assert found["problems"] == found["missing"] == found["unlisted"] == []
        assert found["videos"] == count == len(by_name(table))
        for side in ("train", "val"):
            assert set(found["splits"][side]) == {"authentic", "forged"}
            assert all(found["splits"][side].values()), (split, side)
        assert found["proof"]["crossing"] == []
    result = invoke("datasets", "check", name, tmp_path / "mini", "--format", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["videos"] == count
    text = invoke("datasets", "check", name, tmp_path / "mini").stdout
    assert "none is on more than one of" in text
    assert "1 = forged" in text


def test_the_names_are_those_of_the_registry() -> None:
    assert tuple(SETS) == tuple(MINIS)
    with pytest.raises(DatasetError, match="there are faceforensics, celebdf"):
        read_set("celeb", Path())
    with pytest.raises(DatasetError, match="no such folder"):
        read_set("celebdf", Path("nowhere"))


def test_files_that_cannot_be_read_are_found_before_the_work_begins(tmp_path: Path) -> None:
    make_mini("folders", tmp_path)
    assert invoke("datasets", "check", "folders", tmp_path).exit_code == 0
    result = invoke("datasets", "check", "folders", tmp_path, "--open")
    assert result.exit_code == 1
    assert result.stdout.count("problem: cannot be read: real/") == 3
    assert "problem: cannot be read: fake/1.mp4: not_media" in result.stdout


def test_mini_does_not_overwrite(tmp_path: Path) -> None:
    result = invoke("datasets", "mini", "folders", tmp_path / "a")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "clips: 6")
    with pytest.raises(DatasetError, match="choose a new folder"):
        make_mini("folders", tmp_path / "a")
    assert invoke("datasets", "mini", "folders", tmp_path / "a").exit_code == 2


# FaceForensics++


def test_a_forgery_of_films_stands_beside_both(tmp_path: Path) -> None:
    make_mini("faceforensics", tmp_path)
    videos = by_name(read_set("faceforensics", tmp_path))
    fake = videos["manipulated_sequences/Face2Face/c23/videos/004_005.mp4"]
    assert (fake.label, fake.method, fake.compression, fake.split) == (1, "Face2Face", "c23", "val")
    assert fake.people == ("film 004", "film 005")
    assert fake.original == "original_sequences/youtube/c23/videos/004.mp4"
    assert videos[fake.original].group == fake.group == videos["original_sequences/youtube/c23/videos/005.mp4"].group
    assert videos[fake.original].label == 0
    actor = videos["manipulated_sequences/DeepFakeDetection/c23/videos/01_02__talking__ABCD1234.mp4"]
    assert actor.people == ("actor 01", "actor 02")
    assert actor.original == "original_sequences/actors/c23/videos/01__talking.mp4"
    assert Counter(video.split for video in videos.values() if "film" in video.people[0]) == {
        "train": 24,
        "val": 12,
        "test": 12,
    }


def test_the_flat_mirror(tmp_path: Path) -> None:
    make_mini("faceforensics", tmp_path / "official")
    root = tmp_path / "FaceForensics++_C23"
    for path in sorted((tmp_path / "official").rglob("*.mp4")):
        if "actors" not in path.parts:
            folder = root / ("original" if "youtube" in path.parts else path.parts[-4])
            folder.mkdir(parents=True, exist_ok=True)
            path.rename(folder / path.name)
    with pytest.raises(
        DatasetError, match=r"train.json is missing .* --splits, or make another split by --split seeded"
    ):
        read_set("faceforensics", root)
    table = read_set("faceforensics", root, Choice(splits=tmp_path / "official" / "splits"))
    videos = by_name(table)
    assert len(videos) == 50
    assert videos["FaceSwap/004_005.mp4"].original == "original/004.mp4"
    assert (videos["FaceSwap/004_005.mp4"].split, videos["FaceSwap/004_005.mp4"].compression) == ("val", "c23")
    assert not list(problems(table))
    assert {video.split for video in read_set("faceforensics", root, Choice("seeded")).videos} == {
        "train",
        "val",
        "test",
    }


def test_compressions_of_faceforensics(tmp_path: Path) -> None:
    make_mini("faceforensics", tmp_path)
    raw = tmp_path / "original_sequences/youtube/raw/videos/000.mp4"
    raw.parent.mkdir(parents=True)
    raw.write_bytes(b"\0")
    table = read_set("faceforensics", tmp_path)
    assert {video.compression for video in table.videos} == {"c23"}
    assert "compression c23 is read; raw is there too" in table.notes
    assert len(read_set("faceforensics", tmp_path, Choice(compression="c0")).videos) == 1
    with pytest.raises(DatasetError, match="c40/videos; the compressions there: c23, raw"):
        read_set("faceforensics", tmp_path, Choice(compression="c40"))


def test_what_can_be_wrong_with_faceforensics(tmp_path: Path) -> None:
    make_mini("faceforensics", tmp_path)
    videos = tmp_path / "original_sequences/youtube/c23/videos"
    (videos / "000.mp4").unlink()
    (videos / "990.mp4").write_bytes(b"\0")
    table = read_set("faceforensics", tmp_path)
    assert table.missing == ["youtube: 000.mp4"]
    assert table.unlisted == ["original_sequences/youtube/c23/videos/990.mp4"]
    assert any("1 listed but not there: youtube: 000.mp4" in line for line in remarks(table))
    stray = videos / "holiday.mp4"
    stray.write_bytes(b"\0")
    with pytest.raises(DatasetError, match="named NUMBER; is this file of the set"):
        read_set("faceforensics", tmp_path)
    stray.unlink()
    (tmp_path / "splits" / "val.json").write_text('[["000", "005"]]')
    with pytest.raises(DatasetError, match=r"val.json: 000 is in train.json too"):
        read_set("faceforensics", tmp_path)
    (tmp_path / "splits" / "val.json").write_text('[["004"]]')
    with pytest.raises(DatasetError, match="not a list of pairs"):
        read_set("faceforensics", tmp_path)
    with pytest.raises(DatasetError, match="neither original_sequences"):
        read_set("faceforensics", tmp_path / "splits")


def test_the_published_numbers_of_a_complete_faceforensics(tmp_path: Path) -> None:
    numbers = [f"{i:03d}" for i in range(1000)]
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    sides = {"train": pairs[:360], "val": pairs[360:430], "test": pairs[430:]}
    (tmp_path / "splits").mkdir()
    names = {"original": numbers, "Deepfakes": [f"{a}_{b}" for pair in pairs for a, b in (pair, pair[::-1])]}
    for folder, stems in names.items():
        (tmp_path / folder).mkdir()
        for stem in stems:
            (tmp_path / folder / f"{stem}.mp4").touch()
    for side, members in sides.items():
        (tmp_path / "splits" / f"{side}.json").write_text(json.dumps(members))
    table = read_set("faceforensics", tmp_path)
    assert Counter((video.split, video.label) for video in table.videos) == {
        (side, label): count for side, count in (("train", 720), ("val", 140), ("test", 140)) for label in (0, 1)
    }
    assert not table.missing + table.notes
    assert not crossings(table.videos)
    (tmp_path / "splits" / "val.json").write_text(json.dumps(sides["val"][1:]))
    (tmp_path / "splits" / "test.json").write_text(json.dumps([*sides["test"], sides["val"][0]]))
    with pytest.raises(DatasetError, match="all 1000 videos are there, but the split files make"):
        read_set("faceforensics", tmp_path)


# Celeb-DF


def test_celebdf_turns_the_labels_of_the_list(tmp_path: Path) -> None:
    make_mini("celebdf", tmp_path)
    assert "1 Celeb-real/id4_0000.mp4" in (tmp_path / "List_of_testing_videos.txt").read_text().splitlines()
    table = read_set("celebdf", tmp_path)
    videos = by_name(table)
    assert (videos["Celeb-real/id4_0000.mp4"].label, videos["Celeb-real/id4_0000.mp4"].split) == (0, "test")
    fake = videos["Celeb-synthesis/id4_id5_0000.mp4"]
    assert (fake.label, fake.split, fake.original) == (1, "test", "Celeb-real/id4_0000.mp4")
    assert fake.people == ("id4", "id5")
    assert not crossings(table.videos, ("train", "val"))


def test_celebdf_with_videos_folders_in_between(tmp_path: Path) -> None:
    make_mini("celebdf", tmp_path)
    before = {video.name: video.split for video in read_set("celebdf", tmp_path).videos}
    for folder in ("Celeb-real", "YouTube-real", "Celeb-synthesis"):
        (tmp_path / folder / "videos").mkdir()
        for path in list((tmp_path / folder).glob("*.mp4")):
            path.rename(path.parent / "videos" / path.name)
    videos = by_name(read_set("celebdf", tmp_path))
    assert {name.replace("/videos/", "/"): video.split for name, video in videos.items()} == before
    assert videos["Celeb-synthesis/videos/id0_id1_0000.mp4"].original == "Celeb-real/videos/id0_0000.mp4"


def test_what_can_be_wrong_with_celebdf(tmp_path: Path) -> None:
    make_mini("celebdf", tmp_path)
    file = tmp_path / "List_of_testing_videos.txt"
    text = file.read_text()
    file.write_text(text + "1 Celeb-real/id9_0009.mp4\n")
    assert read_set("celebdf", tmp_path).missing == ["Celeb-real/id9_0009.mp4"]
    file.write_text(text.replace("1 Celeb-real/id4", "0 Celeb-real/id4"))
    with pytest.raises(DatasetError, match=r"calls Celeb-real/id4_0000.mp4 forged, against its folder"):
        read_set("celebdf", tmp_path)
    file.write_text("real id4\n")
    with pytest.raises(DatasetError, match="line 1: not"):
        read_set("celebdf", tmp_path)
    file.unlink()
    with pytest.raises(DatasetError, match="--split seeded"):
        read_set("celebdf", tmp_path)
    assert not list(problems(read_set("celebdf", tmp_path, Choice("seeded"))))
    for path in (tmp_path / "Celeb-synthesis").iterdir():
        path.unlink()
    assert list(problems(read_set("celebdf", tmp_path, Choice("seeded")))) == [
        "no forged video is there: nothing can be learnt from one class"
    ]
    assert invoke("datasets", "check", "celebdf", tmp_path, "--split", "seeded").exit_code == 1


def test_people_of_the_published_test_list_outside_of_it_are_told(tmp_path: Path) -> None:
    make_mini("celebdf", tmp_path)
    (tmp_path / "List_of_testing_videos.txt").write_text(
        "1 Celeb-real/id4_0000.mp4\n0 Celeb-synthesis/id5_id4_0000.mp4\n"
    )
    table = read_set("celebdf", tmp_path)
    assert any("shares 2 people with the rest" in line for line in remarks(table))
    assert not list(problems(table))
    assert not crossings(read_set("celebdf", tmp_path, Choice("seeded")).videos)


# DFDC


def test_dfdc_by_part(tmp_path: Path) -> None:
    make_mini("dfdc", tmp_path)
    table = read_set("dfdc", tmp_path)
    assert Counter(video.chunk for video in table.videos) == dict.fromkeys(range(10), 4)
    trained = {(video.chunk, video.label) for video in table.videos if video.split == "train"}
    assert trained == {(chunk, label) for chunk in range(10) for label in (0, 1)}
    fake = by_name(table)["dfdc_train_part_3/fake07.mp4"]
    assert (fake.label, fake.original) == (1, "dfdc_train_part_3/real07.mp4")
    assert by_name(table)[fake.original].group == fake.group
    assert {video.chunk for video in read_set("dfdc", tmp_path, Choice(chunks=4)).videos} == {0, 1, 2, 3}


def test_dfdc_nested_and_one_part_alone(tmp_path: Path) -> None:
    make_mini("dfdc", tmp_path / "flat")
    for part in range(3):
        outer = tmp_path / "nested" / f"dfdc_train_part_{part:02d}"
        outer.mkdir(parents=True)
        (tmp_path / "flat" / f"dfdc_train_part_{part}").rename(outer / f"dfdc_train_part_{part}")
    table = read_set("dfdc", tmp_path / "nested")
    assert Counter(video.chunk for video in table.videos) == {0: 4, 1: 4, 2: 4}
    assert "dfdc_train_part_01/dfdc_train_part_1/fake02.mp4" in by_name(table)
    assert {video.chunk for video in read_set("dfdc", tmp_path / "flat" / "dfdc_train_part_5").videos} == {5}


def test_whole_parts_of_dfdc_are_held_out_where_there_are_many(tmp_path: Path) -> None:
    for part in range(50):
        folder = tmp_path / f"dfdc_train_part_{part}"
        folder.mkdir()
        entries = {
            "a.mp4": {"label": "REAL", "split": "train", "original": None},
            "b.mp4": {"label": "FAKE", "split": "train", "original": "a.mp4"},
            "gone.mp4": {"label": "FAKE", "split": "train", "original": "a.mp4"},
        }
        (folder / "metadata.json").write_text(json.dumps(entries))
        for name in ("a.mp4", "b.mp4"):
            (folder / name).touch()
    table = read_set("dfdc", tmp_path)
    sides = {video.chunk: video.split for video in table.videos}
    assert [part for part in range(50) if sides[part] == "val"] == [44, 45]
    assert [part for part in range(50) if sides[part] == "test"] == [46, 47, 48, 49]
    assert len(table.missing) == 50
    for part in range(50):
        (tmp_path / f"dfdc_train_part_{part}" / "gone.mp4").touch()
    with pytest.raises(DatasetError, match="all 50 parts, but 50 authentic and 100 forged"):
        read_set("dfdc", tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "MAYBE", "original": None}, "'MAYBE' is neither FAKE nor REAL"),
        ({"label": "REAL", "original": "real01.mp4"}, "is REAL and has an original"),
        ({"label": "FAKE", "original": None}, "is FAKE and has no original"),
    ],
)
def test_contradictions_in_metadata(change: dict, message: str, tmp_path: Path) -> None:
    make_mini("dfdc", tmp_path)
    index = tmp_path / "dfdc_train_part_0" / "metadata.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"real00.mp4": change}))
    with pytest.raises(DatasetError, match=message):
        read_set("dfdc", tmp_path)


def test_entries_without_file_and_files_without_entry(tmp_path: Path) -> None:
    make_mini("dfdc", tmp_path)
    folder = tmp_path / "dfdc_train_part_0"
    (folder / "real00.mp4").rename(folder / "stranger.mp4")
    table = read_set("dfdc", tmp_path)
    assert (table.missing, table.unlisted) == (["dfdc_train_part_0/real00.mp4"], ["dfdc_train_part_0/stranger.mp4"])
    assert "1 forgeries without their original in the folder" in table.notes
    output = invoke("datasets", "check", "dfdc", tmp_path).stdout
    assert "note: 1 listed but not there: dfdc_train_part_0/real00.mp4" in output
    assert "note: 1 there but in no list, left out: dfdc_train_part_0/stranger.mp4" in output
    (folder / "metadata.json").write_text("{")
    with pytest.raises(DatasetError, match="not JSON"):
        read_set("dfdc", tmp_path)
    (folder / "metadata.json").unlink()
    with pytest.raises(DatasetError, match=r"no metadata.json; unpack the part again"):
        read_set("dfdc", tmp_path)


@pytest.mark.parametrize("index", ["labels.csv", "metadata.json"])
def test_the_test_set_of_dfdc(index: str, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "videos" / name).write_bytes(b"\0")
    if index == "labels.csv":
        (tmp_path / index).write_text("filename,label\na.mp4,1\nb.mp4,0\nc.mp4,0\n")
    else:
        (tmp_path / index).write_text(
            json.dumps({n: {"is_fake": int(n[0] == "a")} for n in ("a.mp4", "b.mp4", "c.mp4")})
        )
    table = read_set("dfdc", tmp_path)
    assert [(video.path.name, video.label, video.split) for video in table.videos] == [
        ("a.mp4", 1, "test"),
        ("b.mp4", 0, "test"),
    ]
    assert table.missing == ["c.mp4"]


def test_the_preview_of_dfdc(tmp_path: Path) -> None:
    make_mini("dfdc_preview", tmp_path)
    videos = by_name(read_set("dfdc_preview", tmp_path))
    fake = videos["method_A/4/4_5_001.mp4"]
    assert (fake.label, fake.method, fake.people, fake.split) == (1, "method_A", ("actor 4", "actor 5"), "test")
    index = tmp_path / "dataset.json"
    entries = json.loads(index.read_text())
    entries["method_A/4/4_5_001.mp4"]["label"] = "real"
    index.write_text(json.dumps(entries))
    with pytest.raises(DatasetError, match="against its folder"):
        read_set("dfdc_preview", tmp_path)


# The others


def test_fakeavceleb(tmp_path: Path) -> None:
    make_mini("fakeavceleb", tmp_path)
    table = read_set("fakeavceleb", tmp_path)
    assert Counter(video.label for video in table.videos) == {0: 3, 1: 9}
    assert Counter(video.method for video in table.videos)["RealVideo-FakeAudio/rtvc"] == 3
    fake = by_name(table)["FakeVideo-RealAudio/African/men/id00001/faceswap.mp4"]
    assert (fake.label, fake.people) == (1, ("id00001", "id00011"))
    silent = read_set("fakeavceleb", tmp_path, Choice(without=("RealVideo-FakeAudio/rtvc",)))
    assert Counter(video.label for video in silent.videos) == {0: 3, 1: 6}
    with pytest.raises(DatasetError, match="no method wav2lip; there are FakeVideo"):
        read_set("fakeavceleb", tmp_path, Choice(without=("wav2lip",)))
    index = tmp_path / "meta_data.csv"
    index.write_text(index.read_text().replace("faceswap,A,FakeVideo-RealAudio", "real,A,FakeVideo-RealAudio"))
    with pytest.raises(DatasetError, match="line 4: type FakeVideo-RealAudio and method real"):
        read_set("fakeavceleb", tmp_path)


def test_plain_folders(tmp_path: Path) -> None:
    make_mini("folders", tmp_path / "a")
    videos = by_name(read_set("folders", tmp_path / "a"))
    assert videos["real/1.mp4"].group == videos["fake/1.mp4"].group != videos["fake/2.mp4"].group
    for side in ("train", "val"):
        make_mini("folders", tmp_path / "b" / side)
    table = read_set("folders", tmp_path / "b")
    assert by_name(table)["val/fake/1.mp4"].split == "val"
    assert any("the split leaks" in line for line in problems(table)), "equal stems are the same original"
    (tmp_path / "c" / "real").mkdir(parents=True)
    with pytest.raises(DatasetError, match="fake: missing"):
        read_set("folders", tmp_path / "c")


def write_csv(folder: Path, *rows: dict[str, object]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        (folder / str(row["path"])).parent.mkdir(parents=True, exist_ok=True)
        (folder / str(row["path"])).write_bytes(b"\0")
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"path": "real/a.mp4", "label": 1}, "contradicts the folder real/"),
        ({"path": "x/Fake/a.mp4", "label": 0}, "contradicts the folder Fake/"),
        ({"path": "a.mp4", "label": "fake"}, "label 'fake' is neither 1"),
        ({"path": "a.mp4", "label": 0, "split": "training"}, "split 'training' is none of train, val, test"),
        ({"path": "a.mp4", "label": 0, "part": "x"}, "chunk 'x' is not a number"),
        ({"path": "a.mp4", "labels": 0}, "no column label"),
    ],
)
def test_a_table_that_contradicts_itself(row: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message):
        read_set("csv", write_csv(tmp_path, row))


def test_a_table_of_crops_with_the_usual_columns(tmp_path: Path) -> None:
    rows = [
        {
            "path": f"{kind}/{i}.jpg",
            "label": label,
            "original": f"{i}.mp4",
            "part": 12 + i,
            "split": "train",
            "model": "M",
        }
        for i in range(2)
        for kind, label in (("real", 0), ("fake", 1))
    ]
    table = read_set("csv", write_csv(tmp_path / "set", *rows), Choice(chunks=10))
    assert [(video.method, video.chunk, video.split) for video in table.videos] == [
        ("", 2, "train"),
        ("M", 2, "train"),
        ("", 3, "train"),
        ("M", 3, "train"),
    ]
    assert {video.dataset for video in table.videos} == {"set"}
    assert len({video.group for video in table.videos}) == 2
    (tmp_path / "set" / "fake" / "1.jpg").unlink()
    (tmp_path / "set" / "real" / "1.jpg").write_bytes(b"")
    table = read_set("csv", tmp_path / "set")
    assert table.missing == ["fake/1.jpg"]
    assert list(problems(table)) == ["1 files are empty: real/1.jpg"]


# Groups and splits

video_lists = st.lists(
    st.tuples(st.integers(0, 1), st.lists(st.sampled_from("abcdefghijkl"), max_size=3, unique=True)), max_size=60
)


@given(video_lists, st.integers(0, 5))
def test_no_person_is_ever_on_two_sides(described: list[tuple[int, list[str]]], seed: int) -> None:
    videos = [
        Video(Path(f"{i}"), f"{i}", label, "made", people=tuple(people), original=f"{i // 2}" if label else "")
        for i, (label, people) in enumerate(described)
    ]
    done = seeded(grouped(videos), seed=seed)
    assert {video.split for video in done} <= {"train", "val", "test"}
    assert crossings(done) == []
    assert done == seeded(grouped(videos), seed=seed)


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=3)))
def test_components_are_those_of_a_graph(links: list[list[str]]) -> None:
    found = components(links)
    joined = {name: {name} for link in links for name in link}
    for link in links:
        union = set().union(*(joined[name] for name in link))
        for name in union:
            joined[name] = union
    assert {name: min(group) for name, group in joined.items()} == found


def test_shares_and_places_of_many_small_groups() -> None:
    def videos(count: int) -> list[Video]:
        return [Video(Path(), f"{i}", i % 2, "made", group=f"{i}") for i in range(count)]

    first, more = seeded(videos(2000)), seeded(videos(3000))
    counts = Counter(video.split for video in more)
    assert 2300 < counts["train"] < 2500
    assert min(counts["val"], counts["test"]) > 230
    assert more[:2000] == first, "a set that grows keeps its videos where they were"


def test_a_few_large_groups_leave_no_side_without_a_class() -> None:
    videos = [Video(Path(), f"{g} {i}", i % 2, "made", group=f"{g}") for g in range(4) for i in range(10 * (g + 1))]
    counts = Counter((video.split, video.label) for video in seeded(videos))
    assert len(counts) == 6
    assert counts["train", 0] >= 30


def test_a_leak_is_found_whatever_the_groups_say() -> None:
    def video(name: str, label: int, split: str, **known: object) -> Video:
        return Video(Path(), name, label, "made", split=split, group=name, **known)  # type: ignore[arg-type]

    real, other = video("a", 0, "train", people=("x",)), video("b", 1, "val", people=("x", "y"))
    assert crossings([real, other]) == ["person x: train, val"]
    assert crossings([real, video("c", 1, "test", original="a")]) == ["video a: test, train"]
    assert crossings([real, video("c", 1, "test", original="a")], ("train", "val")) == []


@pytest.mark.parametrize(
    ("name", "folder", "count"),
    [("faceforensics", "faceforensics", 6), ("celebdf", "celebdf", 6), ("dfdc", "dfdc", 2), ("folders", "talking", 54)],
)
def test_real_copies(name: str, folder: str, count: int) -> None:
    root = SHARED / "videos" / folder
    if not root.is_dir():
        pytest.skip(f"{root} is missing")
    table = read_set(name, root)
    assert len(table.videos) == count
    assert not list(problems(table))
    assert {video.label for video in table.videos} == {0, 1}


def test_progress_of_mini(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    report_to: Callable[[int, int], None] = lambda done, total: seen.append((done, total))  # noqa: E731
    assert make_mini("folders", tmp_path / "a", report_to) == 6
    assert seen == [(i, 6) for i in range(1, 7)]
