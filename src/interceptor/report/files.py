"""Writing results to disk: whole or not at all, under names that are safe everywhere."""

from __future__ import annotations

import json
import os
import re
import secrets
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from interceptor.detect.result import ScanResult
from interceptor.report.text import printable

HTML_SUFFIXES = (".html", ".htm")

_LONGEST_NAME = 150
"""Bytes of a page's name without its suffix: file systems allow 255, and synchronised folders prefix and extend."""


class ReportError(Exception):
    """A report cannot be written; the message names the path and the reason."""


def write_atomically(path: Path, text: str) -> None:
    """Write `text` as UTF-8, as `write_bytes_atomically` writes bytes."""
    write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Write `data`; missing folders are made. Until it is complete, an older file at `path` stays as it was.

    Raises `ReportError` if it cannot be written.
    """
    with _explained(path):
        path = _regular(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".interceptor-{secrets.token_hex(6)}.tmp")
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:  # Ctrl-C, too, leaves nothing behind
            temporary.unlink(missing_ok=True)
            raise


def is_page(target: Path) -> bool:
    """Whether a target names one HTML page; otherwise it names a folder of pages."""
    return target.suffix.lower() in HTML_SUFFIXES and not target.is_dir()


def check_target(target: Path, several: bool) -> None:
    """Find out before a scan whether its HTML report can be written to `target`, a page or a folder of pages.

    `several` says that more than one file is scanned: only then may a new folder look like a file ("clips.may").
    Leaves nothing behind. Raises `ReportError`.
    """
    with _explained(target):
        if is_page(target):
            _try_folder(_regular(target).parent)
        elif not several and target.suffix and not target.is_dir():
            raise OSError("the report of one file is a page ending in .html, or a folder")
        else:
            _try_folder(target)


def check_file(path: Path) -> None:
    """Find out whether one file can be written at `path`. Leaves nothing behind. Raises `ReportError`."""
    with _explained(path):
        _try_folder(_regular(path).parent)


def _try_folder(folder: Path) -> None:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    # Only a trial tells: permission bits know nothing of read-only or full file systems.
    with tempfile.TemporaryFile(dir=folder):
        pass


def _regular(path: Path) -> Path:
    """`path` with its links followed, so that a link keeps pointing where it did; never a folder or a device."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise OSError("it exists and is not a regular file")
    return path


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into a `ReportError` about `path`."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        reason = getattr(error, "strerror", None) or error
        raise ReportError(f"{printable(str(path))}: cannot be written: {reason}") from error


def page_name(path: str, taken: set[str]) -> str:
    """A name for the page about the file `path`, e.g. `clip.mp4.html`, unlike all in `taken`; adds it there.

    Only characters that Windows, macOS and Linux accept; unique where case does not count, too.
    """
    stem = unicodedata.normalize("NFC", printable(re.split(r"[/\\]", path)[-1]))
    stem = re.sub(r'[<>:"/\\|?*\s]+', "_", stem).strip("._ ") or "file"
    stem = stem.encode()[:_LONGEST_NAME].decode(errors="ignore")
    name, number = f"{stem}.html", 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem}-{number}.html"
    taken.add(name.casefold())
    return name


def json_line(result: ScanResult) -> str:
    """The result as one line of JSON, without a line break at its end."""
    return _json(result, None)


def write_json(results: Sequence[ScanResult], path: Path) -> None:
    """Write one result as a JSON object, several (or none) as a JSON list; indented, atomic. Raises `ReportError`."""
    texts = [_json(result, 2) for result in results]
    write_atomically(path, texts[0] + "\n" if len(texts) == 1 else "[" + ",\n".join(texts) + "]\n")


def _json(result: ScanResult, indent: int | None) -> str:
    # ASCII, because names that are not UTF-8 survive only as escapes, and because consoles differ in their encoding.
    return json.dumps(result.model_dump(), indent=indent, allow_nan=False)
