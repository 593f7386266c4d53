"""A process that keeps a folder to itself."""

from __future__ import annotations

import os
import time
from pathlib import Path

from interceptor.datasets.lock import alone_in


def holder(folder: Path) -> int:
    """A process that holds the lock until it is killed, and one forked from it that lives on for a while."""
    child = os.fork()
    if child == 0:
        with alone_in(folder):
            if os.fork() == 0:
                time.sleep(20)
                os._exit(0)
            (folder / "held").touch()
            time.sleep(60)
        os._exit(0)
    deadline = time.monotonic() + 30
    while not (folder / "held").is_file():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return child
