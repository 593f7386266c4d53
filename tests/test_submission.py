"""The contest's file: what is written is read again, and what breaks a rule is found with its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from interceptor.detect.submission import (
    check_annotation,
    check_runs,
    check_submission,
    decode_annotation,
    decode_runs,
    encode_annotation,
    encode_runs,
    read_submission,
    write_submission,
)

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

masks = st.tuples(st.integers(1, 7), st.integers(1, 7)).flatmap(lambda shape: arrays(bool, shape))
stacks = st.tuples(st.integers(0, 3), st.integers(1, 5), st.integers(1, 5)).flatmap(lambda shape: arrays(bool, shape))


@given(masks)
def test_runs_round_trip_and_keep_the_rules(mask: np.ndarray) -> None:
    runs = encode_runs(mask)
    if not mask.any():
        assert runs == []
        return
    check_runs(runs, mask.shape)
    np.testing.assert_array_equal(decode_runs(runs, mask.shape), mask)
    starts, lengths = np.array(runs[::2]), np.array(runs[1::2])
    assert starts[0] >= 1
    assert (starts[1:] > (starts + lengths)[:-1]).all()  # ascending, apart, each run as long as it can be
    assert (starts + lengths)[-1] - 1 <= mask.size
    assert lengths.sum() == mask.sum()


@given(stacks)
def test_annotations_round_trip_with_one_list_for_each_instance(planes: np.ndarray) -> None:
    text = encode_annotation(planes)
    check_annotation(text, planes.shape[1:])
    kept = planes[planes.any((1, 2))]
    np.testing.assert_array_equal(decode_annotation(text, planes.shape[1:]), kept)
    assert (0 if text == "authentic" else text.count(";") + 1) == len(kept)


def test_runs_go_down_the_columns_from_1() -> None:
    mask = np.zeros((3, 4), bool)
    mask[1:, 1] = True  # the second column: pixels 4, 5, 6
    mask[0, 2] = True  # 7
    assert encode_runs(mask) == [5, 3]
    assert encode_annotation(np.stack([mask, mask, np.zeros_like(mask)])) == "[5, 3];[5, 3]"


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([], "pairs"),
        ([1, 2, 3], "pairs"),
        ([0, 1], "at least 1"),
        ([3, 0], "at least 1"),
        ([5, 1, 2, 1], "does not start after"),
        ([1, 3, 3, 1], "does not start after"),
        ([10, 4], "ends at pixel 13"),
        ([1.0, 2], "whole numbers"),
        ([True, 2], "whole numbers"),
        ({"a": 1}, "whole numbers"),
    ],
)
def test_each_rule_is_checked(runs: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_runs(runs, (3, 4))


@pytest.mark.parametrize("text", ["", "Authentic", "[1, 2];", "1 2", "[1, 2", "null"])
def test_what_is_no_annotation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"list [12]"):
        check_annotation(text)


def test_a_file_round_trips(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cases = {"10": np.zeros((0, 5, 6), bool), "a, b": rng.random((2, 7, 3)) > 0.5, "3": rng.random((1, 4, 4)) > 0.2}
    path = tmp_path / "submission.csv"
    write_submission(path, cases.items())
    assert path.read_text().splitlines()[:2] == ["case_id,annotation", "10,authentic"]
    found = read_submission(path, {name: planes.shape[1:] for name, planes in cases.items()})
    assert list(found) == list(cases)
    for name, planes in cases.items():
        np.testing.assert_array_equal(found[name], planes)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path, one = tmp_path / "submission.csv", np.ones((1, 2, 2), bool)
    write_submission(path, [("1", one)])
    before = path.read_text()
    with pytest.raises(ValueError, match="there already"):
        write_submission(path, [("1", one), ("1", one)])
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


def test_problems_are_found_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    path.write_text(
        'case_id,annotation\n1,authentic\n2,"[1, 2]"\n2,authentic\n3,[1, 2]\n,authentic\n4,"[1, 2];[5, 2, 3, 1]"\n'
        '5,"[20, 9]"\n6,nothing\n\n9,authentic\n'
    )
    sizes = dict.fromkeys("12345678", (5, 5))
    found = [(problem.line, problem.case_id) for problem in check_submission(path, sizes)]
    assert found == [(4, "2"), (5, None), (6, None), (7, "4"), (8, "5"), (9, "6"), (11, "9")] + [
        (None, name) for name in "378"
    ]
    texts = [str(problem) for problem in check_submission(path, sizes)]
    assert texts[0] == "line 4, case 2: already given in line 3"
    assert "quotes" in texts[1]
    assert texts[3].startswith("line 7, case 4: list 2:")
    without_sizes = [problem.line for problem in check_submission(path)]
    assert without_sizes == [4, 5, 6, 7, 9]
    with pytest.raises(ValueError, match="and 9 more"):
        read_submission(path, sizes)


@pytest.mark.parametrize("content", [b"", b"id,annotation\n1,authentic\n", b"\xff\xfe\x00", b'case_id,annotation\n1,"'])
def test_another_file_is_one_problem(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "submission.csv"
    path.write_bytes(content)
    assert len(check_submission(path)) == 1
