"""One viewer's conversation: it asks for the next pair, and gets the newest there is."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from .live import Live
from .messages import Pair, shared_width_px

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

_NUMBERS_EVERY_S = 0.5
PATIENCE_S = 20.0  # for one message to be taken
_WRONG_MESSAGE = 1008  # "policy violation" (RFC 6455, 7.4.1)


class Viewer:
    """A browser that watches.

    A pair is sent only for a `next`, which the page sends when it has drawn the one before; so a slow viewer
    gets fewer frames, and no more than one waits for it. One that does not take a message in PATIENCE_S
    seconds is dropped.

    Messages from the page, each a JSON object: {"next": width in px}, {"strength": 0 to 1},
    {"snapshot": true}. To the page: numbers as JSON, pictures as bytes.
    """

    def __init__(self, connection: ServerConnection, live: Live) -> None:
        self._connection = connection
        self._live = live
        self._wanted_px: int | None = None  # None: nothing was asked for
        self._wants_snapshot = False
        self._asked = asyncio.Event()
        self._shown: Pair | None = None

    async def watch(self) -> None:
        """Talk until either side ends it."""
        from websockets.exceptions import ConnectionClosed

        talks = [asyncio.create_task(talk()) for talk in (self._listen, self._show, self._count)]
        try:
            await asyncio.wait(talks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for talk in talks:
                talk.cancel()
            ends = await asyncio.gather(*talks, return_exceptions=True)
        for end in ends:
            if isinstance(end, (TimeoutError, asyncio.TimeoutError)):
                self._connection.transport.abort()
            elif isinstance(end, BaseException) and not isinstance(
                end, (ConnectionClosed, asyncio.CancelledError)
            ):
                raise end

    async def _listen(self) -> None:
        async for message in self._connection:
            if not self._obey(message):
                await self._connection.close(_WRONG_MESSAGE, "not a message of the live page")

    def _obey(self, message: str | bytes) -> bool:
        """Do what a message asks for; False when it is none of the page's."""
        try:
            ((verb, value),) = json.loads(message).items()
        except (ValueError, AttributeError, RecursionError):
            return False
        if verb == "snapshot" and value is True:
            self._wants_snapshot = True
        elif verb == "next" and _is_number(value) and 1 <= value <= 100_000:
            self._wanted_px = shared_width_px(int(value))
        elif verb == "strength" and _is_number(value) and 0 <= value <= 1:
            self._live.controls.strength = float(value)
            return True
        else:
            return False
        self._asked.set()
        return True

    async def _show(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            if self._wants_snapshot and self._shown is not None:
                await self._send(await self._live.snapshot_message(self._shown))
            self._wants_snapshot = False
            if self._wanted_px is not None:
                await self._show_next(self._wanted_px)

    async def _show_next(self, width_px: int) -> None:
        fresh = asyncio.ensure_future(self._live.newer_than(self._shown))
        asked = asyncio.ensure_future(self._asked.wait())
        try:
            await asyncio.wait([fresh, asked], return_when=asyncio.FIRST_COMPLETED)
            if not fresh.done():  # a snapshot while the camera is silent
                return
            self._wanted_px, self._shown = None, fresh.result()
        finally:
            fresh.cancel()
            asked.cancel()
        await self._send(await self._live.pair_message(self._shown, width_px))

    async def _count(self) -> None:
        while True:
            await self._send(json.dumps(self._live.numbers()))
            await asyncio.sleep(_NUMBERS_EVERY_S)

    async def _send(self, message: str | bytes) -> None:
        await asyncio.wait_for(self._connection.send(message), PATIENCE_S)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
