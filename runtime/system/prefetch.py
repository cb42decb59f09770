"""Iterate in a separate thread, a bounded number of items ahead of the consumer."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Any, Generic, TypeVar

from ..errors import UserError

Item = TypeVar("Item")

_POLL_S = 0.03
_EXIT_S = 2.0  # longest wait for the threads at exit


def prefetch(
    items: Iterable[Item], depth: int = 1, *, while_waiting: Callable[[], object] | None = None
) -> Generator[Item, None, None]:
    """Yield the same items in order, each produced while the previous one is used.

    The thread starts with the first request. When the iterator is closed, exhausted or left by an exception,
    the thread ends after its current item and closes `items`; only then does this return.

    Args:
        items: iterated in the thread; an exception in it is raised here, after the items before it.
        depth: maximum number of finished items that wait.
        while_waiting: called about thirty times a second while the next item is awaited.
    """
    channel: _Channel[Item] = _Channel(depth)
    channel.worker = threading.Thread(target=_feed, args=(items, channel), name="prefetch", daemon=True)
    channel.worker.start()
    _open.add(channel)
    try:
        yield from channel.items(while_waiting)
    finally:
        channel.stop()
        if not sys.is_finalizing():  # else threads no longer run
            channel.worker.join()


def _feed(items: Iterable[Any], channel: _Channel[Any]) -> None:
    try:
        for item in items:
            if not channel.put(item):
                break
    except BaseException as error:  # raised again in the consumer's thread
        channel.end(error)
    finally:
        close = getattr(items, "close", None)
        try:
            if close is not None:
                close()
        except BaseException as error:
            channel.end(error)
        channel.end(None)


class _Channel(Generic[Item]):
    """A bounded queue between the two threads."""

    worker: threading.Thread

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._is_stopped = False  # the consumer has stopped
        self._is_ended = False  # the producer has ended
        self._error: BaseException | None = None

    def put(self, item: Item) -> bool:
        """Wait for room; return False if the consumer has stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopped or len(self._items) < self._depth)
            if not self._is_stopped:
                self._items.append(item)
                self._changed.notify_all()
            return not self._is_stopped

    def end(self, error: BaseException | None) -> None:
        with self._changed:
            self._error = self._error or error
            self._is_ended = True
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """End in a forked process, which lacks the thread; that one may have held the lock."""
        self._changed = threading.Condition()
        self._items.clear()
        self._error = UserError(
            "this iterator was opened before fork(), and its thread is gone; open a new one"
        )
        self._is_ended = True

    def items(self, while_waiting: Callable[[], object] | None) -> Generator[Item, None, None]:
        while True:
            while not self._wait_for_item(None if while_waiting is None else _POLL_S):
                if while_waiting is not None:
                    while_waiting()
            with self._changed:
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def _wait_for_item(self, within_s: float | None) -> bool:
        """Return whether an item or the end comes within this time; None: wait without limit."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._items) or self._is_ended, within_s)


_open: weakref.WeakSet[_Channel[Any]] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """End the threads while they can: one that returns from a library later would abort the process.

    One that waits for its next item does not hold up the exit.
    """
    channels = list(_open)
    for channel in channels:
        channel.stop()
    end_s = time.monotonic() + _EXIT_S
    for channel in channels:
        channel.worker.join(max(0.0, end_s - time.monotonic()))


def _abandon_all() -> None:
    for channel in list(_open):
        channel.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
