"""Stop: when a stream is to end that would go on for ever."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Within, SIGTERM interrupts as Ctrl-C does, so that nothing unfinished is left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Stop:
    """A request to end, or a time at which to; whatever waits looks at it several times a second.

    Plain attributes and no lock, since a signal may arrive while any lock is held.

    Attributes:
        by_signal: whether a signal asked for it.
    """

    def __init__(self) -> None:
        self._at_s: float | None = None
        self._is_requested = False
        self.by_signal = False

    def request_after(self, seconds: float) -> None:
        """End by itself, so many seconds from now."""
        self._at_s = time.monotonic() + seconds

    def request(self) -> None:
        """End as soon as it can be done in good order."""
        self._is_requested = True

    @property
    def is_due(self) -> bool:
        """Whether to end now."""
        return self._is_requested or (self._at_s is not None and time.monotonic() >= self._at_s)

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Within, SIGINT (Ctrl-C) and SIGTERM ask for the end; a second one interrupts at once.

        Outside of the main thread, which alone gets signals, nothing changes.
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

    def _on_signal(self, _number: int, _frame: Any) -> None:
        if self.by_signal:
            raise KeyboardInterrupt
        self.by_signal = True
        self.request()
