"""Nobody is on two sides of a split."""

from __future__ import annotations

from pathlib import Path

import pytest

from interceptor.datasets.splits import group_of, split_of


@pytest.mark.parametrize(
    "names",
    [
        ("lrs3demo_gt_0gks6ceq4eQ_00006.webm", "lrs3_sv_0gks6ceq4eQ_00005.mp4"),
        ("grid_bbaf2n.mpg", "grid_qub_bbir7s.mpg", "s1/swwv9a.mpg", "lwbsza.mp4"),
        ("1001_DFA_ANG_XX.flv", "1001_IEO_HAP_LO.mp4"),
        ("01-01-03-01-02-01-12.mp4", "02-01-06-02-01-01-12.mp4"),
        ("id16_0012.mp4", "id16_0003.mp4", "id16_id6_0012.mp4"),
    ],
)
def test_files_of_one_group_share_a_split(names: tuple[str, ...]) -> None:
    assert len({group_of(Path(name)) for name in names}) == 1
    assert len({split_of(Path(name)) for name in names}) == 1


def test_other_people_are_other_groups() -> None:
    names = (
        "1001_DFA_ANG_XX",
        "1002_DFA_ANG_XX",
        "01-01-03-01-02-01-12",
        "01-01-03-01-02-01-13",
        "id1_0000",
        "id2_0000",
    )
    assert len({group_of(Path(f"{name}.mp4")) for name in names}) == len(names)


@pytest.mark.parametrize(("name", "split"), [("vox_00015", "train"), ("hyperlips_video2", "val"), ("hdtf_5", "test")])
def test_a_file_of_which_nothing_is_known_stays_where_its_name_puts_it(name: str, split: str) -> None:
    assert group_of(Path(f"{name}.mp4")) == name
    assert split_of(Path(f"{name}.mp4")) == split


def test_shares_are_as_said() -> None:
    splits = [split_of(Path(f"{i}.mp4")) for i in range(400)]
    assert 0.15 < splits.count("test") / 400 < 0.25
    assert 0.1 < splits.count("val") / 400 < 0.2


def test_nobody_in_the_collected_clips_is_on_two_sides() -> None:
    clips = Path(__file__).parents[2] / "shared" / "data" / "videos" / "talking" / "real"
    if not clips.is_dir():
        pytest.skip(f"no {clips}")
    assert len({split_of(path) for path in clips.glob("grid_*")}) == 1
