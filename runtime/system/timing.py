"""Time several functions in alternation, so that other load affects all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence


def time_interleaved(
    runs: Sequence[Callable[[], object]], rounds: int, *, warm: bool = False, in_cpu_time: bool = False
) -> list[float]:
    """Return the median duration of each function in seconds.

    Args:
        rounds: number of timed rounds; an untimed one comes first, in which they allocate memory.
        warm: leave out the untimed round, since each has run before.
        in_cpu_time: count the CPU time of this process in place of the time that passes.
    """
    now = time.process_time if in_cpu_time else time.perf_counter
    seconds: list[list[float]] = [[] for _ in runs]
    for number in range(warm, rounds + 1):
        for times, run in zip(seconds, runs, strict=True):
            started = now()
            run()
            if number:
                times.append(now() - started)
    return [statistics.median(times) for times in seconds]
