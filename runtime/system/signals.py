"""End streams by signals or after a time."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[Callable[[], None]]:
    """Make SIGTERM interrupt the block as Ctrl-C does, so that nothing unfinished is left behind.

    Yields:
        A function that raises KeyboardInterrupt if either signal came. One that comes while a library calls
        back, such as to log, is lost there: nothing that a callback raises goes further.
    """
    came: list[int] = []

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    def interrupt(number: int, _frame: Any) -> None:
        came.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, interrupt)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, or another's
        before[signal.SIGINT] = signal.signal(signal.SIGINT, interrupt)
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Stop:
    """A request to end, now or at a time; whatever waits polls it several times a second.

    It has no lock, since a signal may arrive while a lock is held.

    Attributes:
        by_signal: True if a signal requested it.
    """

    def __init__(self) -> None:
        self._at_s: float | None = None
        self._is_requested = False
        self._received: set[int] = set()
        self.by_signal = False

    def request_after(self, seconds: float) -> None:
        """Request the end in so many seconds."""
        self._at_s = time.monotonic() + seconds

    def request(self) -> None:
        """Request a clean end as soon as possible."""
        self._is_requested = True

    @property
    def is_due(self) -> bool:
        """True if the end is due."""
        return self._is_requested or (self._at_s is not None and time.monotonic() >= self._at_s)

    def wait(self, seconds: float, poll_s: float = 0.1) -> None:
        """Wait for the end, or for so many seconds."""
        end_s = time.monotonic() + seconds
        while not self.is_due and (left_s := end_s - time.monotonic()) > 0:
            time.sleep(min(left_s, poll_s))

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Make SIGINT (Ctrl-C) and SIGTERM request the end within the block; a second of a kind interrupts.

        Only in the main thread, which alone receives signals.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: Any) -> None:
        if number in self._received:
            raise KeyboardInterrupt
        self._received.add(number)
        self.by_signal = True
        self.request()
