"""Each set's layout, built in small, becomes one table; each mask convention means what it says."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from interceptor.datasets.layouts import LAYOUTS, read_layout
from interceptor.datasets.masks import MaskError, joined, read_instances
from interceptor.datasets.pictures import Picture, authentic_pictures, with_splits

SIZE = (16, 24)
RECODAI = Path(__file__).parents[2] / "shared" / "data" / "forgery" / "recodai"

TREES = {
    "recodai": "train_images/authentic/10.png train_images/forged/10.png train_images/forged/11.png train_masks/10.npy",
    "casia": "Au/Au_ani_00018.jpg Tp/Tp_D_CRN_S_N_cha00063_ani00018_11818.tif Tp/odd.jpg "
    "CASIA2_groundtruth/Tp_D_CRN_S_N_cha00063_ani00018_11818_gt.png",
    "columbia": "4cam_auth/canong3_02_sub_01.tif 4cam_auth/edgemask/canong3_02_sub_01_edgemask.jpg "
    "4cam_splc/canong3_canonxt_sub_01.tif 4cam_splc/canong3_canonxt_sub_02.tif "
    "4cam_splc/edgemask/canong3_canonxt_sub_01_edgemask.jpg",
    "coverage": "image/1.tif image/1t.tif image/2t.tif mask/1forged.tif mask/1copy.tif mask/1paste.tif",
    "nist16": "probe/a.jpg probe/b.png world/c.jpg masks/a.png",
    "imd2020": "1a1ogs/1a1ogs_orig.jpg 1a1ogs/c8tf5mq_0.png 1a1ogs/c8tf5mq_0_mask.png 1a1ogs/d_0.jpg",
    "comofod": "001_O.png 001_F.png 001_F_JC1.jpg 001_B.png 001_M.png 002_F.png readme.png",
}
EXPECTED = {
    "recodai": [("10", 0, None), ("10", 1, "10.npy"), ("11", 1, None)],
    "casia": [
        ("ani00018", 0, None),
        ("ani00018", 1, "Tp_D_CRN_S_N_cha00063_ani00018_11818_gt.png"),
        ("odd", 1, None),
    ],
    "columbia": [
        ("canong3_02_sub_01", 0, None),
        ("canong3_canonxt_sub_01", 1, "canong3_canonxt_sub_01_edgemask.jpg"),
        ("canong3_canonxt_sub_02", 1, None),
    ],
    "coverage": [("1", 0, None), ("1", 1, "1forged.tif"), ("2", 1, None)],
    "nist16": [("base", 1, "a.png"), ("base", 1, None), ("c", 0, None)],
    "imd2020": [("1a1ogs", 0, None), ("1a1ogs", 1, "c8tf5mq_0_mask.png"), ("1a1ogs", 1, None)],
    "comofod": [("001", 1, "001_B.png"), ("001", 1, "001_B.png"), ("001", 0, None), ("002", 1, None)],
}
TRUTH = np.zeros(SIZE, bool)
TRUTH[4:12, 8:16] = True


def as_mask(name: str) -> np.ndarray:
    """The truth as the set would store it."""
    if name == "columbia":
        return np.where(TRUTH[..., None], (0, 200, 0), (200, 0, 0)).astype(np.uint8)
    return np.where(TRUTH ^ (name == "nist16"), 255, 0).astype(np.uint8)


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    name = request.param
    for text in TREES[name].split():
        path = tmp_path / text
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, TRUTH[None].astype(np.uint8))
        else:
            mask = any(word in text for word in ("mask", "groundtruth", "_B"))
            Image.fromarray(as_mask(name) if mask else np.zeros((*SIZE, 3), np.uint8)).save(path)
    if name == "nist16":
        reference = tmp_path / "reference" / "manipulation" / "NC2016-manipulation-ref.csv"
        reference.parent.mkdir(parents=True)
        reference.write_text(
            "TaskID|ProbeFileName|ProbeMaskFileName|IsTarget|BaseFileName\n"
            "m|probe/a.jpg|masks/a.png|Y|world/base.jpg\nm|probe/b.png||Y|world/base.jpg\nm|world/c.jpg||N|\n"
        )
    return name, tmp_path


def test_a_layout_becomes_a_table(layout: tuple[str, Path]) -> None:
    name, root = layout
    pictures = read_layout(name, root)
    found = [(each.group, each.label, each.mask_path and each.mask_path.name) for each in pictures]
    assert sorted(found, key=str) == sorted(EXPECTED[name], key=str)
    for picture in pictures:
        assert picture.dataset == name
        assert picture.split is None
        assert picture.path.is_file()
        if picture.mask_path:
            agree = joined(picture.instances()) == TRUTH
            assert agree.mean() > (0.95 if picture.mask_path.suffix == ".jpg" else 0.999)
        elif picture.label:
            with pytest.raises(MaskError, match="no mask"):
                picture.instances()


def test_an_empty_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    for name in LAYOUTS:
        with pytest.raises(ValueError, match=tmp_path.name):
            read_layout(name, tmp_path)
    with pytest.raises(ValueError, match="none of casia"):
        read_layout("cassia", tmp_path)
    with pytest.raises(ValueError, match="no such folder"):
        read_layout("casia", tmp_path / "nowhere")


def save(path: Path, values: np.ndarray) -> Path:
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize("scale", [1, 255])
def test_arrays_hold_instances(tmp_path: Path, scale: int) -> None:
    planes = np.stack([TRUTH, np.zeros_like(TRUTH), ~TRUTH])
    found = read_instances(save(tmp_path / "a.npy", planes.astype(np.uint8) * scale))
    np.testing.assert_array_equal(found, planes[[0, 2]])  # a plane without a pixel is none
    np.testing.assert_array_equal(read_instances(save(tmp_path / "b.npy", planes)), planes[[0, 2]])
    np.testing.assert_array_equal(read_instances(save(tmp_path / "c.npy", TRUTH)), TRUTH[None])
    assert joined(found).all()
    assert not joined(found[:0]).any()
    assert joined(found[:0]).shape == SIZE


def test_conventions(tmp_path: Path) -> None:
    grey = np.where(TRUTH, 200, 60).astype(np.uint8)
    path = save(tmp_path / "grey.png", grey)
    np.testing.assert_array_equal(read_instances(path, "white"), TRUTH[None])
    np.testing.assert_array_equal(read_instances(path, "black"), ~TRUTH[None])
    with pytest.raises(MaskError, match="60, 200") as caught:
        read_instances(path)
    assert caught.value.cause == "mask_values"
    for kind in ("L", "RGB", "RGBA", "LA", "1", "P"):
        path = tmp_path / f"{kind}.png"
        Image.fromarray(TRUTH.astype(np.uint8) * 255).convert(kind).save(path)
        np.testing.assert_array_equal(read_instances(path), TRUTH[None])
    wide = save(tmp_path / "wide.png", TRUTH.astype(np.uint16) * 65535)
    np.testing.assert_array_equal(read_instances(wide), TRUTH[None])
    with pytest.raises(MaskError, match="colours"):
        read_instances(save(tmp_path / "colours.png", as_mask("columbia")))
    with pytest.raises(ValueError, match="none of binary"):
        read_instances(path, "grey")


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("a.npy", b"", "mask_unreadable"),
        ("a.npy", b"\x93NUMPY junk", "mask_unreadable"),
        ("a.png", b"text", "mask_unreadable"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "mask_unreadable"),
    ],
)
def test_broken_masks_are_named(tmp_path: Path, name: str, content: bytes, cause: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MaskError, match=name) as caught:
        read_instances(tmp_path / name)
    assert caught.value.cause == cause


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(MaskError, match="not a readable array"):
        read_instances(tmp_path / "a.npy")


def test_splits_keep_groups_together() -> None:
    pictures = [Picture(Path(f"{i}.png"), None, i % 2, str(i // 2), "x") for i in range(400)]
    split = with_splits(pictures, 0.3)
    assert all(split[i].split == split[i + 1].split for i in range(0, 400, 2))
    assert 0.2 < np.mean([picture.split == "val" for picture in split]) < 0.4
    kept = with_splits([Picture(Path("a"), None, 0, "a", "x", "test")], 1)
    assert kept[0].split == "test"


def test_plain_folders_of_authentic_pictures(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.zeros((*SIZE, 3), np.uint8))
    save(tmp_path / ".hidden.png", np.zeros((*SIZE, 3), np.uint8))
    (tmp_path / ".trash").mkdir()
    save(tmp_path / ".trash" / "b.png", np.zeros((*SIZE, 3), np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    assert [(each.path.name, each.label, each.dataset) for each in authentic_pictures(tmp_path, "x")] == [
        ("a.png", 0, "x")
    ]


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    list_folder = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return list_folder(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(ValueError, match=r"closed: the folder cannot be read: Permission denied"):
        authentic_pictures(tmp_path, "x")


@pytest.mark.skipif(not RECODAI.is_dir(), reason=f"the contest's pictures are missing: {RECODAI}")
def test_the_contests_own_files() -> None:
    pictures = read_layout("recodai", RECODAI)
    assert [(each.group, each.label) for each in pictures] == [(n, k) for k in (0, 1) for n in ("10", "187", "209")]
    assert [len(each.instances()) for each in pictures if each.label] == [1, 2, 1]
    for picture in pictures[3:]:
        with Image.open(picture.path) as image:
            assert picture.instances().shape[1:] == image.size[::-1]
