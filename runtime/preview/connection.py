"""Bound what each connection to the live page can take, and log each kind of failure once."""

from __future__ import annotations

import asyncio
import errno
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

_logger = logging.getLogger(__name__)

MOST_CONNECTIONS = 64  # a page needs a few to load
RECEIVE_BYTES = 16384  # buffer of a connection, and so the most that is read at once
OPEN_S = 10.0  # longest handshake
_BYTES_PER_S = 8192  # of messages from a viewer; a page at 60 frames per second sends a quarter of it


def bounded_connection(connections: dict[Any, None]) -> type[ServerConnection]:
    """Return a connection class that adds itself to `connections` while it is open, in order of arrival.

    If there are too many, the oldest that has not finished its handshake is dropped; so is one that takes
    longer than OPEN_S. What a viewer sends, messages and pings, is read at a bounded rate, so that it takes
    no time from the others.
    """
    from websockets.asyncio.server import ServerConnection
    from websockets.protocol import State

    class Bounded(ServerConnection):
        stream: asyncio.Task[None] | None = None  # that sends images over it, in place of messages

        @property
        def is_opening(self) -> bool:
            return self.protocol.state is State.CONNECTING and self.stream is None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            connections[self] = None
            self._deadline = asyncio.get_running_loop().call_later(OPEN_S, self._end_handshake)
            if len(connections) > MOST_CONNECTIONS:
                oldest = next(one for one in connections if one.is_opening)
                del connections[oldest]  # which would follow later, after other arrivals
                oldest.transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            connections.pop(self, None)
            self._deadline.cancel()
            if self.stream is not None:
                self.stream.cancel()
            super().connection_lost(exc)

        def _end_handshake(self) -> None:
            if self.is_opening:
                self.transport.abort()

        def data_received(self, data: bytes) -> None:
            if self.stream is None:
                super().data_received(data)
            if not self.is_opening and not self.transport.is_closing():
                self.transport.pause_reading()
                pause_s = len(data) / _BYTES_PER_S
                asyncio.get_running_loop().call_later(pause_s, self.transport.resume_reading)

    return Bounded


def websockets_logger() -> logging.Logger:
    """Return a logger that drops failed handshakes of scanners and browsers, and repeated errors."""
    logger = logging.getLogger(f"{__name__}.websockets")
    logger.setLevel(logging.ERROR)
    if not logger.filters:
        logger.addFilter(_Once())
    return logger


class _Once(logging.Filter):
    """Passes the first error of each kind, as one line without its traceback."""

    def __init__(self) -> None:
        super().__init__()
        # The second is an assertion of websockets on clients that send more before they are answered.
        self.seen = {"opening handshake failed", "unexpected internal error"}

    def filter(self, record: logging.LogRecord) -> bool:
        is_new = record.msg not in self.seen
        self.seen.add(record.msg)
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            record.msg = f"the live page: {record.msg} ({type(error).__name__}: {error})"
            record.exc_info = None
        return is_new


class LoopErrors:
    """Logs errors of an event loop as a warning each, once per kind."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, type]] = set()

    def __call__(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log an error; called by the loop (`set_exception_handler`)."""
        error = context.get("exception")
        kind = str(context.get("message")), type(error)
        # A second after descriptors were used up asyncio accepts again, though the page may be closed.
        is_closed = isinstance(error, ValueError) and str(error) == "Invalid file descriptor: -1"
        if kind in self.seen or is_closed:
            return
        self.seen.add(kind)
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            _logger.warning(
                f"the live page takes no more viewers: {error.strerror}; raise the limit (ulimit -n)"
            )
        else:
            _logger.warning(f"the live page: {context.get('message')} ({type(error).__name__}: {error})")
