"""Exchange messages with one viewer, which requests pairs and gets the newest."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

from ..inference.tile_size import is_number
from .live import Live
from .messages import Pair, shared_width_px

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

_STATISTICS_EVERY_S = 0.5
SNAPSHOT_EVERY_S = 0.5  # at most; the one encoder of all viewers takes long for a large one
SEND_TIMEOUT_S = 20.0  # of one message
_WRONG_MESSAGE = 1008  # "policy violation" (RFC 6455, 7.4.1)


class Viewer:
    """The connection to one browser.

    A pair is sent only after a `next`, which the page sends when it has drawn the previous one; so a slow
    viewer gets fewer frames, and at most one waits for it. A viewer that does not receive a message within
    SEND_TIMEOUT_S is disconnected. A snapshot that is requested right after the last one is not sent.

    Messages from the page, each a JSON object: {"next": width in px}, {"strength": 0 to 1},
    {"snapshot": true}. To the page: statistics as JSON, images as bytes.
    """

    def __init__(self, connection: ServerConnection, live: Live) -> None:
        self._connection = connection
        self._live = live
        self._wanted_px: int | None = None  # None: nothing was requested
        self._wants_snapshot = False
        self._snapshot_at_s = float("-inf")
        self._requested = asyncio.Event()
        self._shown: Pair | None = None

    async def watch(self) -> None:
        """Exchange messages until either side disconnects."""
        from websockets.exceptions import ConnectionClosed

        tasks = [asyncio.create_task(work()) for work in (self._listen, self._show, self._report)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, (TimeoutError, asyncio.TimeoutError)):
                self._connection.transport.abort()
            elif isinstance(result, BaseException) and not isinstance(
                result, (ConnectionClosed, asyncio.CancelledError)
            ):
                raise result

    async def _listen(self) -> None:
        async for message in self._connection:
            if not self._handle(message):
                await self._connection.close(_WRONG_MESSAGE, "not a message of the live page")

    def _handle(self, message: str | bytes) -> bool:
        """Handle a message of the page; return False if it is invalid."""
        try:
            ((name, value),) = json.loads(message).items()
        except (ValueError, AttributeError, RecursionError):
            return False
        if name == "snapshot" and value is True:
            self._wants_snapshot = True
        elif name == "next" and is_number(value) and 1 <= value <= 100_000:
            self._wanted_px = shared_width_px(int(value))
        elif name == "strength" and is_number(value) and 0 <= value <= 1:
            self._live.controls.strength = float(value)
            return True
        else:
            return False
        self._requested.set()
        return True

    async def _show(self) -> None:
        while True:
            await self._requested.wait()
            self._requested.clear()
            is_early = time.monotonic() < self._snapshot_at_s + SNAPSHOT_EVERY_S
            if self._wants_snapshot and self._shown is not None and not is_early:
                await self._send(await self._live.snapshot_message(self._shown))
                self._snapshot_at_s = time.monotonic()
            self._wants_snapshot = False
            if self._wanted_px is not None:
                await self._show_next(self._wanted_px)

    async def _show_next(self, width_px: int) -> None:
        newer = asyncio.ensure_future(self._live.newer_than(self._shown))
        requested = asyncio.ensure_future(self._requested.wait())
        try:
            await asyncio.wait([newer, requested], return_when=asyncio.FIRST_COMPLETED)
            if not newer.done():  # a snapshot while no frame arrives
                return
            self._wanted_px, self._shown = None, newer.result()
        finally:
            newer.cancel()
            requested.cancel()
        await self._send(await self._live.pair_message(self._shown, width_px))

    async def _report(self) -> None:
        while True:
            await self._send(json.dumps(self._live.statistics()))
            await asyncio.sleep(_STATISTICS_EVERY_S)

    async def _send(self, message: str | bytes) -> None:
        await asyncio.wait_for(self._connection.send(message), SEND_TIMEOUT_S)
