"""The submission file of the Recod.ai/LUC contest (Scientific Image Forgery Detection, 2025): written, read, checked.

A CSV with the columns `case_id,annotation`. An annotation is `authentic`, or a run-length list for each instance,
joined by `;`. A list is JSON, `[start, length, start, length, ...]`: starts count from 1, down the columns (Fortran
order) of the picture at its own size, and ascend; runs neither overlap nor leave the picture.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

AUTHENTIC = "authentic"
COLUMNS = ["case_id", "annotation"]


@dataclass(frozen=True)
class Problem:
    """Something in a submission that the contest would refuse."""

    line: int | None
    """Of the file, from 1, where the row ends; None for what is missing from it."""
    case_id: str | None
    message: str

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line}"
        case = "" if self.case_id is None else f"case {self.case_id}"
        return ": ".join(filter(None, [", ".join(filter(None, [where, case])), self.message]))


def encode_runs(mask: NDArray[np.bool_]) -> list[int]:
    """The runs of a mask bool[H, W], `[start, length, ...]`."""
    edges = np.flatnonzero(np.diff(np.asarray(mask, bool).ravel(order="F"), prepend=False, append=False))
    starts, ends = edges[::2], edges[1::2]
    return np.stack([starts + 1, ends - starts], axis=1).ravel().tolist()


def decode_runs(runs: Sequence[int], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask bool[H, W] of runs. Raises `ValueError` saying which of the contest's rules they break."""
    check_runs(runs, shape)
    flat = np.zeros(shape[0] * shape[1], bool)
    for start, length in zip(runs[::2], runs[1::2], strict=True):
        flat[start - 1 : start - 1 + length] = True
    return flat.reshape(shape, order="F")


def check_runs(runs: Sequence[int], shape: tuple[int, int] | None = None) -> None:
    """Raises `ValueError` for the first rule that runs break; without `shape` (H, W) only their order is known."""
    if not isinstance(runs, list) or any(type(value) is not int for value in runs):
        raise ValueError("a list holds whole numbers only")
    if not runs or len(runs) % 2:
        raise ValueError(f"a list holds pairs of start and length, at least one, not {len(runs)} numbers")
    end = 0  # the last pixel taken, counted from 1
    for start, length in zip(runs[::2], runs[1::2], strict=True):
        if start < 1 or length < 1:
            raise ValueError(f"run {start}, {length}: both must be at least 1")
        if start <= end:
            raise ValueError(f"run {start}, {length}: it does not start after the run before, which ends at {end}")
        end = start + length - 1
    if shape is not None and end > shape[0] * shape[1]:
        raise ValueError(f"the last run ends at pixel {end} of a picture of {shape[0]} x {shape[1]} pixels")


def encode_annotation(instances: Iterable[NDArray[np.bool_]]) -> str:
    """The annotation of instances, bool[H, W] each; those without a pixel are left out, and none is `authentic`."""
    lists = [json.dumps(encode_runs(plane)) for plane in instances if plane.any()]
    return ";".join(lists) or AUTHENTIC


def decode_annotation(text: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The instances bool[n, H, W] of an annotation. Raises `ValueError` as `check_annotation`."""
    return np.array([decode_runs(runs, shape) for runs in _lists(text)], bool).reshape(-1, *shape)


def check_annotation(text: str, shape: tuple[int, int] | None = None) -> None:
    """Raises `ValueError` naming the list and the first rule that it breaks; `shape` is (H, W) where it is known."""
    for number, runs in enumerate(_lists(text), start=1):
        try:
            check_runs(runs, shape)
        except ValueError as error:
            raise ValueError(f"list {number}: {error}") from None


def _lists(text: str) -> list[list[int]]:
    if text.strip() == AUTHENTIC:
        return []
    lists = []
    for number, part in enumerate(text.split(";"), start=1):
        try:
            lists.append(json.loads(part))
        except (json.JSONDecodeError, RecursionError):
            raise ValueError(f"list {number}: {part[:40]!r} is neither a JSON list nor {AUTHENTIC!r}") from None
    return lists


def write_submission(path: Path, annotations: Iterable[tuple[str, Iterable[NDArray[np.bool_]]]]) -> None:
    """Write (case id, instances bool[H, W]) as a submission; missing folders are made. Until it is complete, an older
    file stays as it was.

    Raises `ValueError` for an empty or repeated case id, and `OSError` where it cannot be written.
    """
    seen: set[str] = set()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(COLUMNS)
            for case_id, instances in annotations:
                if not case_id or case_id in seen:
                    raise ValueError(f"case id {case_id!r} is empty or there already")
                seen.add(case_id)
                rows.writerow([case_id, encode_annotation(instances)])
        temporary.replace(path)
    except BaseException:  # Ctrl-C, too, leaves nothing behind
        temporary.unlink(missing_ok=True)
        raise


def read_submission(path: Path, sizes: Mapping[str, tuple[int, int]]) -> dict[str, NDArray[np.bool_]]:
    """The instances bool[n, H, W] of each case; `sizes` gives each its (H, W).

    Raises `ValueError` with the first of the problems that `check_submission` finds, and `OSError`.
    """
    if problems := check_submission(path, sizes):
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ValueError(f"{path}: {problems[0]}{more}")
    return {case_id: decode_annotation(text, sizes[case_id]) for _, (case_id, text) in _rows(path)}


def check_submission(path: Path, sizes: Mapping[str, tuple[int, int] | None] | None = None) -> list[Problem]:
    """Everything that is wrong with a submission file, in its order.

    With `sizes`, (H, W) by case id or None where that is not known, runs must lie within their picture, and the cases
    must be these: none more, none missing. Raises `OSError` where the file cannot be read.
    """
    try:
        rows = _rows(path)
    except ValueError as error:
        return [Problem(None, None, str(error))]
    problems: list[Problem] = []
    first_line: dict[str, int] = {}
    for line, row in rows:
        if len(row) != len(COLUMNS):
            found = f"{len(row)} columns instead of 2; an annotation with commas must stand in quotes"
            problems.append(Problem(line, None, found))
            continue
        case_id, text = row
        if not case_id:
            problems.append(Problem(line, None, "the case id is empty"))
        elif case_id in first_line:
            problems.append(Problem(line, case_id, f"already given in line {first_line[case_id]}"))
        elif sizes is not None and case_id not in sizes:
            problems.append(Problem(line, case_id, "no such case"))
        first_line.setdefault(case_id, line)
        try:
            check_annotation(text, None if sizes is None else sizes.get(case_id))
        except ValueError as error:
            problems.append(Problem(line, case_id, str(error)))
    missing = [] if sizes is None else [name for name in sizes if name not in first_line]
    return problems + [Problem(None, name, "missing from the file") for name in missing]


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """The rows below the header, with the line on which each ends. Raises `ValueError` for another header."""
    try:
        reader = csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), strict=True)
        header = next(reader, [])
        if header != COLUMNS:
            raise ValueError(f"the first line must be {','.join(COLUMNS)}, not {','.join(header)[:60]!r}")
        return [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"not a CSV file in UTF-8: {error}") from error
