"""Read ∥ denoise ∥ write: the next image is read and the last one written while one is denoised."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from .errors import UserError

Item = TypeVar("Item")

READ, INFER, WRITE = STAGES = ("read", "infer", "write")


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
    infer: Callable[[Item, Any], Any],
    write: Callable[[Item, Any], Any],
) -> Iterator[Outcome[Item]]:
    """Take each item through three stages, of which `read` and `write` have a thread each.

    At most one item waits before, and one after, the one that is inferred. A UserError gives up its
    item alone; every other exception ends the whole, after what is being written is written.

    Args:
        items: what to work on.
        read: item → value.
        infer: item, what `read` gave → value; called in the thread that iterates.
        write: item, what `infer` gave → value.

    Yields:
        One outcome an item, in order.
    """
    with ThreadPoolExecutor(1, "reader") as reader, ThreadPoolExecutor(1, "writer") as writer:
        written: Future[Outcome[Item]] | None = None
        for outcome in _one_ahead(items, lambda item: reader.submit(_read, item, read)):
            _stage(outcome, INFER, infer)
            if written is not None:
                yield written.result()
            written = writer.submit(_stage, outcome, WRITE, write)
        if written is not None:
            yield written.result()


def _one_ahead(
    items: Iterable[Item], start: Callable[[Item], Future[Outcome[Item]]]
) -> Iterator[Outcome[Item]]:
    waiting: Future[Outcome[Item]] | None = None
    for item in items:
        started = start(item)
        if waiting is not None:
            yield waiting.result()
        waiting = started
    if waiting is not None:
        yield waiting.result()


def _read(item: Item, read: Callable[[Item], Any]) -> Outcome[Item]:
    return _stage(Outcome(item), READ, lambda item, _: read(item))


def _stage(outcome: Outcome[Item], name: str, work: Callable[[Item, Any], Any]) -> Outcome[Item]:
    if outcome.error is not None:
        return outcome
    started = time.perf_counter()
    try:
        outcome.value = work(outcome.item, outcome.value)
        outcome.ms[name] = (time.perf_counter() - started) * 1e3
    except UserError as error:
        outcome.error, outcome.value = error, None
    return outcome
