"""Do something 50 times a second in a thread, as a camera gives frames."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def ticking(act: Callable[[int], object]) -> Iterator[None]:
    """Call `act` with 0, 1, 2, … until the block ends."""
    ended = threading.Event()

    def run() -> None:
        for index in itertools.count():
            if ended.wait(0.02):
                return
            act(index)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
