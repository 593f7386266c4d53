"""Items made on a thread of their own while earlier ones are used: frames are decoded while faces are looked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

DEPTH = 4
"""Items made ahead, and held in memory."""


def ahead(items: Iterable[Item], depth: int = DEPTH) -> Iterator[Item]:
    """The same items in the same order, up to `depth` of them made before they are asked for.

    What making an item raises is raised where it would have come. Where the caller stops early, the item being made is
    waited for and no other is begun.
    """
    source, end = iter(items), object()
    maker = ThreadPoolExecutor(1)
    try:
        coming = deque(maker.submit(next, source, end) for _ in range(depth))
        while (item := coming.popleft().result()) is not end:
            coming.append(maker.submit(next, source, end))
            yield item  # type: ignore[misc]  # not the end
    finally:
        maker.shutdown(cancel_futures=True)
