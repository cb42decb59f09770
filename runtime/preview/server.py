"""Serve the live page in a thread with an event loop."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ..controls import Controls
from ..live_stats import StreamMeter
from ..system.packages import require
from .access import Access, Refusal
from .address import Endpoint
from .connection import RECEIVE_BYTES, LoopErrors, bounded_connection, websockets_logger
from .jpeg_stream import MJPEG, stream_jpegs
from .live import Live
from .messages import shared_width_px
from .responses import read_files, refused, response, stream_head
from .viewer import Viewer

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

_logger = logging.getLogger(__name__)

_LIVE = "/live"  # the WebSocket
_STREAM, _SNAPSHOT, _STATUS = "/stream.mjpg", "/snapshot.jpg", "/status.json"  # for other programs
_LONGEST_MESSAGE_BYTES = 1024
_STALE_S = 10.0  # a snapshot of a camera that is lost for so long is refused
_CLOSE_S = 0.5  # grace period for viewers to disconnect
_JOIN_S = 5.0


class PageServer:
    """Serves the page until `close`, in a daemon thread.

    Args:
        endpoint: its socket is closed with the server.
        max_viewers: browsers that can watch at the same time, and as many programs that read streams.

    Raises:
        MissingPackageError: the package websockets is not installed.
    """

    def __init__(self, endpoint: Endpoint, access: Access, max_viewers: int) -> None:
        self._endpoint = endpoint
        self._access = access
        self._lives: dict[str, Live] = {}  # by the names of the cameras
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="live page encoder")
        self._max_viewers = max_viewers
        self._viewers = self._streams = 0
        self._connections: dict[Any, None] = {}
        self._stop = asyncio.Event()
        require_websockets()
        self._files = read_files()  # now: later all file descriptors may be in use
        endpoint.listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        started: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="live page", daemon=True)
        self._thread.start()
        self._loop = started.result()

    def add_camera(self, name: str, controls: Controls, meter: StreamMeter) -> Live:
        """Return the state of one more camera, which the page shows from now on."""
        live = Live(controls, meter, self._encoder)
        self._lives = {**self._lives, name: live}
        return live

    def announce(self, live: Live) -> None:
        """Notify viewers of a new pair of a camera, from any thread."""
        if self._viewers or self._streams:
            self._loop.call_soon_threadsafe(live.announce)

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
            open_timeout=None,  # a stream of JPEGs is sent as the answer; the connection ends idle ones
            close_timeout=_CLOSE_S,
            max_size=_LONGEST_MESSAGE_BYTES,
            max_queue=None,  # what is read is bounded already
            logger=websockets_logger(),
        )
        started.set_result(loop)
        await self._stop.wait()
        server.close()  # with code 1001: the page then shows that the program has ended
        for connection in list(self._connections):
            if connection.stream is not None:
                connection.transport.abort()
        loop.call_later(_CLOSE_S, self._abort)
        await server.wait_closed()
        while self._connections:  # Python before 3.12 does not wait for them
            await asyncio.sleep(0.01)
        self._encoder.shutdown(cancel_futures=True)

    def _abort(self) -> None:
        for connection in list(self._connections):
            connection.transport.abort()

    async def _accept(self, connection: ServerConnection) -> None:
        if self._viewers >= self._max_viewers:  # several connected at once
            await connection.close(1013, self._full().reason)
            return
        assert connection.request is not None
        live = self._camera(connection.request.path)
        assert isinstance(live, Live)  # else the request was refused
        self._viewers += 1
        try:
            await Viewer(connection, live).watch()
        except Exception as error:
            _logger.warning(f"a viewer of the live page was disconnected: {type(error).__name__}: {error}")
        finally:
            self._viewers -= 1

    async def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return the response to a request; None: accept its WebSocket."""
        refusal, live = self._check(connection, request)
        path = request.path.partition("?")[0]
        if refusal is not None:
            return refused(refusal)
        if path == _LIVE:
            return None
        if path == _STATUS:
            cameras = [{"name": name, **one.statistics()} for name, one in self._lives.items()]
            return response(HTTPStatus.OK, json.dumps({"cameras": cameras}).encode(), "application/json")
        if live is None:
            content, kind = self._files[path]
            return response(HTTPStatus.OK, content, kind, self._access.cookie(request.path))
        width_px = _width(request.path)
        if path == _SNAPSHOT:
            assert live.newest is not None
            return response(HTTPStatus.OK, await live.jpeg(live.newest, width_px), "image/jpeg")
        await self._stream(connection, live, width_px)
        return refused(self._full())  # nobody gets it

    def _check(self, connection: ServerConnection, request: Request) -> tuple[Refusal | None, Live | None]:
        """Return why a request is refused, and the camera that it is about, if it is about one."""
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        path = request.path.partition("?")[0]
        is_upgrade = path == _LIVE and headers.get("upgrade", "").lower() == "websocket"
        local_ip = (connection.local_address or ("",))[0]  # None if the connection is lost
        refusal = self._access.refusal(
            request.path, headers, local_ip, needs_origin=is_upgrade, is_page=path in {*self._files, _LIVE}
        )
        method = getattr(request, "method", "GET")  # websockets before 17 rejects others itself
        if refusal is None and method != "GET":
            refusal = Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is allowed")
        if refusal is not None or path in self._files or path == _STATUS:
            return refusal, None
        if path not in (_LIVE, _STREAM, _SNAPSHOT):
            return Refusal(HTTPStatus.NOT_FOUND, "not found"), None
        live = self._camera(request.path)
        if isinstance(live, Refusal):
            return live, None
        return self._unavailable(path, live, is_upgrade), live

    def _unavailable(self, path: str, live: Live, is_upgrade: bool) -> Refusal | None:
        """Return why images of a camera cannot be had now."""
        watching = {_LIVE: self._viewers, _STREAM: self._streams}.get(path, 0)
        if watching >= self._max_viewers:
            return self._full("program" if path == _STREAM else "viewer")
        if path == _LIVE and not is_upgrade:
            return Refusal(HTTPStatus.UPGRADE_REQUIRED, "this is the WebSocket of the page")
        if path == _SNAPSHOT and (live.newest is None or live.silent_s > _STALE_S):
            reason = f"no frame from the camera for {live.silent_s:.0f} s"
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, reason)
        return None

    async def _stream(self, connection: Any, live: Live, width_px: int | None) -> None:
        self._streams += 1
        try:
            connection.stream = asyncio.ensure_future(
                stream_jpegs(connection, live, width_px, stream_head(MJPEG))
            )
            await asyncio.wait([connection.stream])
        finally:
            self._streams -= 1
            connection.transport.abort()
        task = connection.stream
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, (OSError, TimeoutError, asyncio.TimeoutError)):
            _logger.warning(f"a stream of the live page was ended: {type(error).__name__}: {error}")
        await connection.wait_closed()

    def _camera(self, path: str) -> Live | Refusal:
        """Return the camera that a request names, the first if it names none."""
        names = parse_qs(path.partition("?")[2]).get("camera", list(self._lives)[:1])
        if not names:
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "there is no camera yet")
        if names[0] not in self._lives:
            return Refusal(HTTPStatus.NOT_FOUND, f"no such camera; there are {', '.join(self._lives)}")
        return self._lives[names[0]]

    def _full(self, what: str = "viewer") -> Refusal:
        count = f"1 {what} is" if self._max_viewers == 1 else f"{self._max_viewers} {what}s are"
        return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"{count} watching, which is the limit")


def require_websockets() -> None:
    """Raise MissingPackageError unless the package websockets is installed."""
    require("websockets.asyncio.server", package="websockets", extra="serve")


def _width(path: str) -> int | None:
    """Return the width in px that a request names, one that others share; None: none."""
    text = parse_qs(path.partition("?")[2]).get("width", [""])[0]
    return shared_width_px(int(text)) if text.isascii() and text.isdecimal() and len(text) < 6 else None
