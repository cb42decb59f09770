"""Read ∥ denoise ∥ write: the next image is read and the last one written while one is denoised."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ..errors import UserError
from ..inference.executor import TASK_STAGES
from ..system.prefetch import prefetch

Item = TypeVar("Item")

# Pairs of a key and a value → the key, the result and the time of each stage in ms.
Infer = Callable[[Iterator[tuple[Any, Any]]], Iterator[tuple[Any, Any, dict[str, float]]]]

READ, WRITE = "read", "write"
STAGES = (READ, *TASK_STAGES, WRITE)


@dataclass
class Outcome(Generic[Item]):
    """Outcome of one item."""

    item: Item
    value: Any = None  # result of the last stage that succeeded
    error: UserError | None = None  # why the item failed
    ms: dict[str, float] = field(default_factory=dict)  # time of each stage


def run_overlapped(
    items: Iterable[Item], *, read: Callable[[Item], Any], infer: Infer, write: Callable[[Item, Any], Any]
) -> Iterator[Outcome[Item]]:
    """Yield the outcome of each item in three stages, in order; `read` and `write` have a thread each.

    At most one item waits before, and one after, those that are inferred. A UserError of `read` or `write`
    fails its item alone; any other exception ends the run, once what is being written is written.

    Args:
        infer: pairs of a key and what `read` returned → for each, in order, the key, a value and the ms of
            its stages; runs in the thread that iterates, and may take several before it yields the first.
        write: item, what `infer` yielded → value.
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


def _inferred(outcomes: Iterator[Outcome[Item]], infer: Infer) -> Iterator[Outcome[Item]]:
    """Infer what was read; outcomes that failed keep their places, each along with the next one read."""
    pending: list[Outcome[Item]] = []

    def readable() -> Iterator[tuple[list[Outcome[Item]], Any]]:
        nonlocal pending
        for outcome in outcomes:
            pending.append(outcome)
            if outcome.error is None:
                group, pending = pending, []
                yield group, outcome.value

    for (*failed, outcome), value, ms in infer(readable()):
        yield from failed
        outcome.value = value
        outcome.ms.update(ms)
        yield outcome
    yield from pending


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
