"""One process at a time writes into a folder, and a killed one leaves no lock behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from interceptor.datasets.lock import LOCK, FolderBusyError, alone_in
from lock_holder import holder


def test_a_second_process_is_refused_and_told_who_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    child = holder(folder)
    with pytest.raises(FolderBusyError, match=rf"process {child} is writing into it"), alone_in(folder):
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert (folder / LOCK).read_text() == str(child), "it could not tidy up"
    with alone_in(folder):
        assert (folder / LOCK).read_text() == str(os.getpid())


def test_it_may_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        with alone_in(tmp_path):
            pass
