"""Iterating in a thread of its own."""

from __future__ import annotations

import itertools
import threading
from contextlib import closing

import pytest
from n2b.runtime.system.prefetch import prefetch


def test_items_come_in_their_order():
    assert list(prefetch(range(100), depth=3)) == list(range(100))
    assert list(prefetch([])) == []


@pytest.mark.parametrize("depth", [1, 3])
def test_no_more_than_depth_items_wait(depth):
    made = []
    reached = threading.Event()

    def items():
        for i in itertools.count():
            made.append(i)
            if i == depth + 1:  # one is taken, `depth` wait, this one finds no room
                reached.set()
            yield i

    with closing(prefetch(items(), depth)) as numbers:
        assert next(numbers) == 0
        assert reached.wait(10)
        threading.Event().wait(0.05)
        assert made == list(range(depth + 2))


def test_what_the_thread_raises_comes_after_the_items_before_it():
    def items():
        yield 1
        raise ValueError("torn")

    numbers = prefetch(items())
    assert next(numbers) == 1
    with pytest.raises(ValueError, match="torn"):
        next(numbers)


def test_closing_ends_the_thread_and_closes_the_items():
    before = threading.active_count()
    closed = []

    def items():
        try:
            yield from itertools.count()
        finally:
            closed.append(threading.current_thread().name)

    with closing(prefetch(items())) as numbers:
        assert next(numbers) == 0
    assert closed == ["prefetch"]
    assert threading.active_count() == before


def test_who_waits_for_an_item_is_called_meanwhile_and_not_otherwise():
    called, go_on = [], threading.Event()

    def items():
        yield 1
        assert go_on.wait(10)
        yield 2

    def while_waiting():
        called.append(threading.current_thread())
        if len(called) == 3:
            go_on.set()

    with closing(prefetch(items(), while_waiting=while_waiting)) as numbers:
        assert list(numbers) == [1, 2]
    assert len(called) >= 3 and set(called) == {threading.current_thread()}
