"""Timing of several ways to do one thing, in turns, so that what else the machine does strikes all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence


def time_interleaved(runs: Sequence[Callable[[], object]], rounds: int, *, warm: bool = False) -> list[float]:
    """How long each of several ways takes.

    Args:
        runs: the ways.
        rounds: how often each runs; a round before, in which they take their memory, does not count.
        warm: each has been run already, so that there need be no such round.

    Returns:
        The median of each, in s.
    """
    seconds: list[list[float]] = [[] for _ in runs]
    for number in range(warm, rounds + 1):
        for times, run in zip(seconds, runs, strict=True):
            started = time.perf_counter()
            run()
            if number:
                times.append(time.perf_counter() - started)
    return [statistics.median(times) for times in seconds]
