"""Stages overlap, order holds, one bad item stops nothing, a fault stops all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from n2b.runtime.errors import DeviceError, ImageError
from n2b.runtime.pipelines.stages import Infer, run_overlapped


def each(work: Callable[[Any], Any]) -> Infer:
    """Infer one value at a time."""
    return lambda pairs: ((key, work(value), {"model": 1.0}) for key, value in pairs)


def test_items_come_out_in_order_with_times_of_all_stages():
    outcomes = list(
        run_overlapped(
            range(7), read=lambda i: i * 10, infer=each(lambda value: value + 1), write=lambda *both: both
        )
    )
    assert [outcome.value for outcome in outcomes] == [(i, 10 * i + 1) for i in range(7)]
    assert all(list(outcome.ms) == ["read", "model", "write"] and not outcome.error for outcome in outcomes)


def test_no_items_give_no_outcomes():
    assert list(run_overlapped([], read=str, infer=each(str), write=max)) == []


@pytest.mark.parametrize("stage", ["read", "write"])
@pytest.mark.parametrize("bad", [0, 2, 4])
def test_a_bad_item_is_given_up_and_the_rest_done(stage, bad):
    written = []

    def fail_at(name, item):
        if name == stage and item == bad:
            raise ImageError("damaged")

    def read(item):
        fail_at("read", item)
        return item

    def write(item, value):
        fail_at("write", item)
        written.append(value)

    outcomes = list(run_overlapped(range(5), read=read, infer=each(int), write=write))
    assert [outcome.item for outcome in outcomes] == list(range(5))
    assert [str(outcome.error) for outcome in outcomes if outcome.error] == ["damaged"]
    assert written == [i for i in range(5) if i != bad]


def test_several_items_may_be_inferred_at_once_and_bad_ones_keep_their_places():
    def read(item):
        if item in (1, 2, 6):
            raise ImageError("damaged")
        return item

    def by_threes(pairs):
        everything = list(pairs)
        for start in range(0, len(everything), 3):
            yield from ((key, -value, {}) for key, value in everything[start : start + 3])

    outcomes = list(run_overlapped(range(7), read=read, infer=by_threes, write=lambda _, value: value))
    assert [outcome.item for outcome in outcomes] == list(range(7))
    assert [outcome.value for outcome in outcomes] == [0, None, None, -3, -4, -5, None]


@pytest.mark.parametrize("stage", ["read", "infer", "write"])
@pytest.mark.parametrize("fault", [DeviceError("no GPU"), ZeroDivisionError()])
def test_a_fault_ends_the_run_and_keeps_what_was_done(stage, fault):
    written = []

    def at(name, item):
        if name == stage and item == 2:
            raise fault
        return item

    def write(item, _):
        at("write", item)
        written.append(item)

    with pytest.raises(type(fault)):
        for _ in run_overlapped(
            range(9), read=lambda i: at("read", i), infer=each(lambda i: at("infer", i)), write=write
        ):
            pass
    assert written[:2] == [0, 1] and 2 not in written


def test_reading_and_writing_go_on_while_one_is_inferred():
    read_next, wrote_last = threading.Event(), threading.Event()

    def read(item):
        if item == 2:
            read_next.set()
        return item

    def infer(item):
        if item == 1:
            assert read_next.wait(10) and wrote_last.wait(10)
        return item

    def write(item, _):
        if item == 0:
            wrote_last.set()

    outcomes = list(run_overlapped(range(3), read=read, infer=each(infer), write=write))
    assert [outcome.error for outcome in outcomes] == [None] * 3


def test_no_more_than_one_item_waits_on_either_side():
    alive = most = 0
    lock = threading.Lock()

    def read(item):
        nonlocal alive, most
        with lock:
            alive += 1
            most = max(most, alive)
        return item

    def write(*_):
        nonlocal alive
        with lock:
            alive -= 1

    for _ in run_overlapped(range(50), read=read, infer=each(int), write=write):
        pass
    assert alive == 0
    assert 1 <= most <= 5  # being written, inferred, waiting on either side of that, being read
