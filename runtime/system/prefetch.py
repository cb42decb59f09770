"""Iterate in a separate thread, a bounded number of items ahead of the consumer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")


_POLL_S = 0.03


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
