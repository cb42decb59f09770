"""When a stream ends."""

from __future__ import annotations

import os
import signal
import time

import pytest
from n2b.runtime.system.signals import Stop, sigterm_as_ctrl_c


def test_it_is_due_when_asked_for():
    stop = Stop()
    assert not stop.is_due
    stop.request()
    assert stop.is_due and not stop.by_signal


def test_it_is_due_after_its_time():
    stop = Stop()
    stop.request_after(0.05)
    assert not stop.is_due
    time.sleep(0.06)
    assert stop.is_due


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_for_the_end_and_a_second_one_interrupts(number):
    stop = Stop()
    before = signal.getsignal(number)
    with stop.on_signals():
        os.kill(os.getpid(), number)
        assert stop.is_due and stop.by_signal
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_sigterm_can_interrupt_as_ctrl_c_does():
    before = signal.getsignal(signal.SIGTERM)
    with sigterm_as_ctrl_c(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_a_callback_loses_is_raised_again(number):
    lost = []
    with sigterm_as_ctrl_c() as check:
        check()
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:  # as in a library's callback
            lost.append(number)
        with pytest.raises(KeyboardInterrupt):
            check()
    assert lost == [number]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with sigterm_as_ctrl_c() as check:
            signal.raise_signal(signal.SIGINT)
            check()
    finally:
        signal.signal(signal.SIGINT, before)
