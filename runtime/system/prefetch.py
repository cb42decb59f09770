"""Iterate in a thread of its own, a bounded number of items ahead of who takes them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")


_GLANCE_S = 0.03


def prefetch(
    items: Iterable[Item], depth: int = 1, *, while_waiting: Callable[[], object] | None = None
) -> Generator[Item, None, None]:
    """The same items in the same order, each made while the one before is being used.

    The thread starts with the first item that is asked for. When the iterator is closed, used up or left by
    an exception, the thread ends after the item that it is at, `items` is closed (where it can be) in that
    thread, and this returns only then.

    Args:
        items: iterated in the thread; what it raises is raised here, after the items before it.
        depth: how many finished items wait at most.
        while_waiting: called some thirty times a second while the next item is waited for.
    """
    channel: _Channel[Item] = _Channel(depth)
    worker = threading.Thread(target=_feed, args=(items, channel), name="prefetch", daemon=True)
    worker.start()
    try:
        yield from channel.items(while_waiting)
    finally:
        channel.stop()
        worker.join()


def _feed(items: Iterable[Any], channel: _Channel[Any]) -> None:
    try:
        for item in items:
            if not channel.put(item):
                break
    except BaseException as error:  # raised again in the thread that takes
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
    """What waits between the two threads."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._is_stopped = False  # nobody takes any more
        self._is_ended = False  # nobody puts any more
        self._error: BaseException | None = None

    def put(self, item: Item) -> bool:
        """Wait for room; False when nobody takes any more."""
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

    def items(self, while_waiting: Callable[[], object] | None) -> Generator[Item, None, None]:
        while True:
            while not self._has_news(None if while_waiting is None else _GLANCE_S):
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

    def _has_news(self, within_s: float | None) -> bool:
        """Whether an item or the end comes within this time; None: wait for it."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._items) or self._is_ended, within_s)
