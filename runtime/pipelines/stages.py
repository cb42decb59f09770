"""Read ∥ denoise ∥ write: the next image is read and the last one written while one is denoised."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ..errors import UserError
from ..inference.executor import TASK_STAGES
from ..system.prefetch import prefetch

Item = TypeVar("Item")

READ, WRITE = "read", "write"
STAGES = (READ, *TASK_STAGES, WRITE)


@dataclass
class Outcome(Generic[Item]):
    """What became of one item."""

    item: Item
    value: Any = None  # what the last stage that succeeded gave
    error: UserError | None = None  # why the item was given up
    ms: dict[str, float] = field(default_factory=dict)  # how long each stage took


def run_overlapped(
    items: Iterable[Item],
    *,
    read: Callable[[Item], Any],
    infer: Callable[[Iterator[Any]], Iterator[tuple[Any, dict[str, float]]]],
    write: Callable[[Item, Any], Any],
) -> Iterator[Outcome[Item]]:
    """Take each item through three stages, of which `read` and `write` have a thread each.

    At most one item waits before, and one after, those that are inferred. A UserError of `read` or `write`
    gives up its item alone; every other exception ends the whole, after what is being written is written.

    Args:
        items: what to work on.
        read: item → value.
        infer: what `read` gave, one after the other → for each, in order, a value and the ms of its
            stages; runs in the thread that iterates, and may take several before it gives the first.
        write: item, what `infer` gave → value.

    Yields:
        One outcome an item, in order.
    """
    read_outcomes = prefetch(
        _stage(Outcome(item), READ, lambda outcome: read(outcome.item)) for item in items
    )
    with closing(read_outcomes), ThreadPoolExecutor(1, "writer") as writer:
        written: Future[Outcome[Item]] | None = None
        for outcome in _inferred(read_outcomes, infer):
            if written is not None:
                yield written.result()
            written = writer.submit(_stage, outcome, WRITE, lambda one: write(one.item, one.value))
        if written is not None:
            yield written.result()


def _inferred(
    outcomes: Iterator[Outcome[Item]],
    infer: Callable[[Iterator[Any]], Iterator[tuple[Any, dict[str, float]]]],
) -> Iterator[Outcome[Item]]:
    """The outcomes, with what was inferred of those that were read; the others keep their places."""
    taken: deque[Outcome[Item]] = deque()

    def values() -> Iterator[Any]:
        for outcome in outcomes:
            taken.append(outcome)
            if outcome.error is None:
                yield outcome.value

    for value, ms in infer(values()):
        while taken[0].error is not None:
            yield taken.popleft()
        outcome = taken.popleft()
        outcome.value = value
        outcome.ms.update(ms)
        yield outcome
    yield from taken


def _stage(outcome: Outcome[Item], name: str, work: Callable[[Outcome[Item]], Any]) -> Outcome[Item]:
    if outcome.error is not None:
        return outcome
    started = time.perf_counter()
    try:
        outcome.value = work(outcome)
        outcome.ms[name] = (time.perf_counter() - started) * 1e3
    except UserError as error:
        outcome.error, outcome.value = error, None
    return outcome
