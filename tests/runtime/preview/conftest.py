"""A live page on a free port, and what a browser would do with it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from n2b.runtime.controls import Controls
from n2b.runtime.frame import Frame
from n2b.runtime.live_stats import StreamMeter
from n2b.runtime.preview.sink import PageSink
from n2b.runtime.sinks.sink import Sink

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

SOON_S = 10.0  # longer than anything here takes
BEFORE = np.full((30, 40, 3), 200, np.uint8)
RANDOM = np.random.default_rng(0)

OpenPage = Callable[..., PageSink]
Message = TypeVar("Message", str, bytes)
Watch = Callable[..., "ClientConnection"]


@pytest.fixture
def open_page() -> Iterator[OpenPage]:
    """open_page(address, controls=…, …) → a page that is closed after the test, and its threads with it."""
    pytest.importorskip("websockets", reason="the package websockets is not installed")
    with contextlib.ExitStack() as pages:

        def make(
            address: str = "0",
            controls: Controls | None = None,
            meter: StreamMeter | None = None,
            **options: Any,
        ) -> PageSink:
            page = PageSink(address, controls or Controls(), meter or StreamMeter(), **options)
            return pages.enter_context(contextlib.closing(page))

        yield make
    assert not page_threads()


@pytest.fixture
def watch() -> Iterator[Watch]:
    """watch(page) → a viewer's WebSocket that the page's own script would have opened."""
    from websockets.sync.client import connect
    from websockets.typing import Origin

    with contextlib.ExitStack() as viewers:

        def open_socket(page: PageSink, **headers: str) -> ClientConnection:
            place, cookie = visit(page.url)
            return viewers.enter_context(
                connect(
                    f"ws://{place}/live",
                    origin=Origin(f"http://{place}"),
                    additional_headers={"Cookie": cookie, **headers},
                    proxy=None,
                    compression=None,
                    max_size=None,
                    open_timeout=SOON_S,
                )
            )

        yield open_socket


def visit(url: str) -> tuple[str, str]:
    """Host and port of the page, and the cookie that opening its address gives."""
    status, headers, _ = get(url)
    assert status == 200
    return urlsplit(url).netloc, headers.get("set-cookie", "").partition(";")[0]


def get(url: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SOON_S)
    try:
        connection.request(method, f"{parts.path}?{parts.query}".rstrip("?"), headers=headers)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def put(page: Sink, index: int = 0, before: np.ndarray = BEFORE, after: np.ndarray | None = None) -> None:
    frame = Frame(before, "camera", index, time.monotonic_ns(), time.monotonic_ns())
    assert page.write(frame, 255 - before if after is None else after)


def decoded(image: bytes) -> np.ndarray:
    """(H, W) or (H, W, 3) in OpenCV's order, BGR."""
    pixels = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels


def ask(socket: ClientConnection, **message: object) -> None:
    socket.send(json.dumps(message))


def shown_images(socket: ClientConnection) -> tuple[int, int, bytes, bytes]:
    """The next message that holds images: kind, number, first, second."""
    message = receive(socket, bytes)
    kind, number, length = struct.unpack(">BII", message[:9])
    return kind, number, message[9 : 9 + length], message[9 + length :]


def numbers(socket: ClientConnection) -> dict[str, object]:
    return json.loads(receive(socket, str))


def receive(socket: ClientConnection, kind: type[Message]) -> Message:
    """The next message of a kind; others, which come all the time, do not prolong the wait."""
    end = time.monotonic() + SOON_S
    while (left_s := end - time.monotonic()) > 0:
        message = socket.recv(left_s)
        if isinstance(message, kind):
            return message
    raise TimeoutError(f"no message of {kind} came")


def wait_until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + SOON_S
    while not is_so():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def deaf_viewer(page: PageSink) -> socket.socket:
    """A viewer that asks for an image in a small window of a buffer and never reads it."""
    place = urlsplit(page.url)
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.settimeout(SOON_S)
    deaf.connect((place.hostname or "", place.port or 0))
    upgrade = (
        f"GET /live HTTP/1.1\r\nHost: {place.netloc}\r\nOrigin: http://{place.netloc}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    ask_for_all = b'{"next": 1920}'
    frame = bytes([0x81, 0x80 | len(ask_for_all), 0, 0, 0, 0]) + ask_for_all  # masked by zeros
    deaf.sendall(upgrade.encode() + frame)
    return deaf


def bytes_left(deaf: socket.socket) -> int:
    """Return how much a viewer that was cut off can still read."""
    count = 0
    with contextlib.suppress(ConnectionResetError):
        end = time.monotonic() + SOON_S
        while data := deaf.recv(65536):
            assert time.monotonic() < end, "it is not cut off"
            count += len(data)
    return count


def viewer_count(page: PageSink) -> int:
    return page._server._viewers


def page_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("live page")]


def is_served(url: str) -> bool:
    try:
        return get(url)[0] == 200
    except OSError:
        return False
