"""Serve the live page in a thread with an event loop."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from concurrent.futures import Future
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from ..system.packages import require
from .access import Access, Refusal
from .address import Endpoint
from .connection import RECEIVE_BYTES, LoopErrors, bounded_connection, websockets_logger
from .live import Live
from .viewer import Viewer

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

_logger = logging.getLogger(__name__)

_PAGE = Path(__file__).with_name("page")
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_LIVE = "/live"  # the WebSocket
_SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LONGEST_MESSAGE_BYTES = 1024
_CLOSE_S = 0.5  # grace period for viewers to disconnect
_JOIN_S = 5.0


class PageServer:
    """Serves the page until `close`, in a daemon thread.

    Args:
        endpoint: its socket is closed with the server.
        live: closed with the server.

    Raises:
        MissingPackageError: the package websockets is not installed.
    """

    def __init__(self, endpoint: Endpoint, access: Access, live: Live, max_viewers: int) -> None:
        self._endpoint = endpoint
        self._access = access
        self._live = live
        self._max_viewers = max_viewers
        self._viewers = 0
        self._connections: dict[ServerConnection, None] = {}
        self._stop = asyncio.Event()
        require_websockets()
        # Read now: later all file descriptors may be in use.
        self._files = {path: ((_PAGE / name).read_bytes(), kind) for path, (name, kind) in _FILES.items()}
        endpoint.listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        started: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="live page", daemon=True)
        self._thread.start()
        self._loop = started.result()

    def announce(self) -> None:
        """Notify viewers of a new pair, from any thread."""
        if self._viewers:
            self._loop.call_soon_threadsafe(self._live.announce)

    def close(self) -> None:
        """Disconnect the viewers and free the port; may be called again."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_JOIN_S)

    def _run(self, started: Future[asyncio.AbstractEventLoop]) -> None:
        try:
            asyncio.run(self._serve(started))
        except Exception as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _serve(self, started: Future[asyncio.AbstractEventLoop]) -> None:
        from websockets.asyncio.server import serve

        loop = asyncio.get_running_loop()
        loop.set_exception_handler(LoopErrors())
        server = await serve(
            self._accept,
            sock=self._endpoint.listening,
            process_request=self._answer,
            create_connection=bounded_connection(self._connections),
            compression=None,  # JPEGs are compressed
            server_header=None,
            close_timeout=_CLOSE_S,
            max_size=_LONGEST_MESSAGE_BYTES,
            max_queue=None,  # what is read is bounded already
            logger=websockets_logger(),
        )
        started.set_result(loop)
        await self._stop.wait()
        server.close()  # with code 1001: the page then shows that the program has ended
        loop.call_later(_CLOSE_S, self._abort)
        await server.wait_closed()
        while self._connections:  # Python before 3.12 does not wait for them
            await asyncio.sleep(0.01)
        self._live.close()

    def _abort(self) -> None:
        for connection in list(self._connections):
            connection.transport.abort()

    async def _accept(self, connection: ServerConnection) -> None:
        if self._viewers >= self._max_viewers:  # several connected at once
            await connection.close(1013, self._full().reason)
            return
        self._viewers += 1
        try:
            await Viewer(connection, self._live).watch()
        except Exception as error:
            _logger.warning(f"a viewer of the live page was disconnected: {type(error).__name__}: {error}")
        finally:
            self._viewers -= 1

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return the response to a request; None: accept its WebSocket."""
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        path = request.path.partition("?")[0]
        is_upgrade = path == _LIVE and headers.get("upgrade", "").lower() == "websocket"
        local_ip = (connection.local_address or ("",))[0]  # None if the connection is lost
        refusal = self._access.refusal(request.path, headers, local_ip, needs_origin=is_upgrade)
        method = getattr(request, "method", "GET")  # websockets before 17 rejects others itself
        if refusal is None and method != "GET":
            refusal = Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is allowed")
        elif refusal is None and path == _LIVE:
            if self._viewers >= self._max_viewers:
                refusal = self._full()
            elif is_upgrade:
                return None
            else:
                refusal = Refusal(HTTPStatus.UPGRADE_REQUIRED, "this is the WebSocket of the page")
        elif refusal is None and path not in _FILES:
            refusal = Refusal(HTTPStatus.NOT_FOUND, "not found")
        if refusal is not None:
            return _response(refusal.status, f"{refusal.reason}\n".encode(), "text/plain; charset=utf-8")
        content, kind = self._files[path]
        return _response(HTTPStatus.OK, content, kind, self._access.cookie(request.path))

    def _full(self) -> Refusal:
        viewers = "1 viewer is" if self._max_viewers == 1 else f"{self._max_viewers} viewers are"
        return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"{viewers} watching, which is the limit")


def require_websockets() -> None:
    """Raise MissingPackageError unless the package websockets is installed."""
    require("websockets.asyncio.server", package="websockets", extra="serve")


def _response(status: HTTPStatus, body: bytes, kind: str, cookie: str | None = None) -> Response:
    from websockets.datastructures import Headers
    from websockets.http11 import Response

    headers = Headers({"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"})
    headers.update({**_SECURITY_HEADERS, **({"Set-Cookie": cookie} if cookie else {})})
    return Response(status.value, status.phrase, headers, body)
