from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from interceptor.media.ahead import ahead


def test_the_same_items_in_order() -> None:
    assert list(ahead(range(100))) == list(range(100))
    assert list(ahead([])) == []
    assert list(ahead([None, None])) == [None, None]


def test_as_many_are_made_as_were_asked_for_and_no_more() -> None:
    made = threading.Semaphore(0)
    count = 0

    def items() -> Iterator[int]:
        nonlocal count
        for number in range(100):
            count += 1
            made.release()
            yield number

    source = ahead(items(), depth=3)
    assert next(source) == 0
    for _ in range(4):  # the one given, and three more without being asked
        assert made.acquire(timeout=30)
    assert not made.acquire(timeout=0.1)
    source.close()
    assert count == 4


def test_an_error_comes_where_its_item_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("the third is broken")

    source = ahead(items())
    assert [next(source), next(source)] == [1, 2]
    with pytest.raises(ValueError, match="the third is broken"):
        next(source)


def test_items_are_made_on_another_thread() -> None:
    def items() -> Iterator[int]:
        yield threading.get_ident()

    assert list(ahead(items())) != [threading.get_ident()]
