"""Time several functions in alternation, so that other load affects all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence


def time_interleaved(runs: Sequence[Callable[[], object]], rounds: int, *, warm: bool = False) -> list[float]:
    """Return the median duration of each function in seconds.

    Args:
        rounds: number of timed rounds; an untimed one comes first, in which they allocate memory.
        warm: leave out the untimed round, since each has run before.
    """
    seconds: list[list[float]] = [[] for _ in runs]
    for number in range(warm, rounds + 1):
        for times, run in zip(seconds, runs, strict=True):
            started = time.perf_counter()
            run()
            if number:
                times.append(time.perf_counter() - started)
    return [statistics.median(times) for times in seconds]
