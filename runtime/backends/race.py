"""Which of several backends is the fastest on this machine, found out by letting them run in turns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..system.timing import time_interleaved
from .memory_probe import trial_batch

if TYPE_CHECKING:
    from .protocol import Backend

_RUNS = 3
_SIDE_PX = 128  # a larger tile widens the winner's lead, and a cold start waits for it


def race(backends: Sequence[Backend]) -> list[float]:
    """How long each takes for a small tile: the median of a few runs, in seconds.

    They run in turns, so that what else the machine does falls on all of them alike. A first run, in which
    they take their memory, does not count.
    """
    batches = [trial_batch(backend, _SIDE_PX) for backend in backends]
    runs = [partial(backend.run, batch) for backend, batch in zip(backends, batches, strict=True)]
    return time_interleaved(runs, _RUNS)
