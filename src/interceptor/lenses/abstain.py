"""What a lens says when it has nothing to look at."""

from __future__ import annotations


class Abstain(Exception):
    """A lens cannot see: its specialist is left out of the ensemble. `reason` is a sentence for the report."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
