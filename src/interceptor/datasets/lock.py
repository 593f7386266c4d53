"""One process at a time writes into a folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock"


class FolderBusyError(ValueError):
    """Another process writes into the folder."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """While it is open, no other process that asks may write into `folder`, which is made where it is missing.

    The lock is the system's (`fcntl.lockf`), on a file that names the process: it ends with that process, even a killed
    one, and none is ever left behind. Processes forked from it do not hold it. Raises `FolderBusyError`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # which of the two, depends on the system
            file.seek(0)
            raise FolderBusyError(
                f"{folder}: process {file.read() or 'unknown'} is writing into it. Wait until it is done, or choose "
                "another folder"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
