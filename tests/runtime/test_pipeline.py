"""Stages overlap, order holds, one bad item stops nothing, a fault stops all."""

from __future__ import annotations

import threading

import pytest
from n2b.runtime.errors import DeviceError, ImageError
from n2b.runtime.pipeline import STAGES, run_overlapped


def test_items_come_out_in_order_with_times_of_all_stages():
    stages = {"read": lambda i: i * 10, "infer": lambda i, value: value + i, "write": lambda *both: both}
    outcomes = list(run_overlapped(range(7), **stages))
    assert [outcome.value for outcome in outcomes] == [(i, 11 * i) for i in range(7)]
    assert all(tuple(outcome.ms) == STAGES and outcome.error is None for outcome in outcomes)


def test_no_items_give_no_outcomes():
    assert list(run_overlapped([], read=str, infer=max, write=max)) == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_bad_item_is_given_up_and_the_rest_done(stage):
    written = []

    def fail_at(name, item):
        if name == stage and item == 2:
            raise ImageError("damaged")

    def read(item):
        fail_at("read", item)
        return item

    def infer(item, value):
        fail_at("infer", item)
        return value

    def write(item, value):
        fail_at("write", item)
        written.append(value)

    outcomes = list(run_overlapped(range(5), read=read, infer=infer, write=write))
    assert [outcome.item for outcome in outcomes] == list(range(5))
    assert [str(outcome.error) for outcome in outcomes if outcome.error] == ["damaged"]
    assert written == [0, 1, 3, 4]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("fault", [DeviceError("no GPU"), ZeroDivisionError()])
def test_a_fault_ends_the_run_and_keeps_what_was_done(stage, fault):
    written = []

    def at(name, item):
        if name == stage and item == 2:
            raise fault

    def write(item, _):
        at("write", item)
        written.append(item)

    with pytest.raises(type(fault)):
        for _ in run_overlapped(
            range(9), read=lambda i: at("read", i), infer=lambda i, _: at("infer", i), write=write
        ):
            pass
    assert written[:2] == [0, 1] and 2 not in written


def test_reading_and_writing_go_on_while_one_is_inferred():
    read_next, wrote_last = threading.Event(), threading.Event()

    def read(item):
        if item == 2:
            read_next.set()
        return item

    def infer(item, value):
        if item == 1:
            assert read_next.wait(10) and wrote_last.wait(10)
        return value

    def write(item, _):
        if item == 0:
            wrote_last.set()

    outcomes = list(run_overlapped(range(3), read=read, infer=infer, write=write))
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

    for _ in run_overlapped(range(50), read=read, infer=lambda _, value: value, write=write):
        pass
    assert alive == 0
    assert 1 <= most <= 4  # being written, inferred, waiting, being read
