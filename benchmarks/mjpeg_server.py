"""A camera on the network, made up: an HTTP server on this machine that sends numbered noisy JPEG frames.

As `http://127.0.0.1:PORT/stream.mjpg` (multipart/x-mixed-replace), the form that network cameras speak. It
can lose its viewers, change the size of the frames and send frames that no decoder takes, and counts all that
it sent. A viewer gets a few good frames first: what comes while OpenCV opens a stream is lost if that fails.
"""

from __future__ import annotations

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import cv2
import numpy as np

_CELL_PX = 16  # a bit of the number, as large as what JPEG averages of its colours
_BITS = 8  # in a row, of two
NUMBERS = 1 << 2 * _BITS  # that frames can bear; they begin again after the highest
_BOUNDARY = "frame"
_GOOD_FIRST = 4


class MjpegServer:
    """Serves one stream, to any number of viewers, until it is closed.

    Args:
        fps: frames a second.
        height, width: of the frames, in px; at least 32×128. May be changed at any time.
        port: 0: a free one.
    """

    def __init__(self, *, fps: float = 15, height: int = 64, width: int = 128, port: int = 0) -> None:
        self.fps = fps
        self.size_hw = height, width
        self.sent = 0  # whole frames, good or bad, that went to a viewer
        self.spoilt: list[int] = []  # which of them no decoder takes
        self.kept = 1.0  # part of the bytes of each frame that is sent
        self._spoil_next = self._hang_up = False
        self._next_size_hw = self.size_hw
        self._is_closed = threading.Event()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.stream = self
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/stream.mjpg"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="mjpeg-server")
        self._thread.start()

    def spoil(self) -> None:
        """Make the next frame one that no decoder takes."""
        self._spoil_next = True

    def hang_up(self, next_size_hw: tuple[int, int] | None = None) -> None:
        """Part with the viewer after the next frame; a new one may come at once.

        Args:
            next_size_hw: the size of the frames from then on.
        """
        self._next_size_hw = next_size_hw or self.size_hw
        self._hang_up = True

    def close(self) -> None:
        """Part with all and serve nobody any more."""
        self._is_closed.set()
        self._server.shutdown()
        self._server.server_close()  # waits for the viewers' threads
        self._thread.join()

    def serve(self, write: Any) -> None:
        """Send frames until the viewer goes or is to go."""
        due = time.monotonic()
        random = np.random.default_rng(self.sent)
        first = self.sent
        while not self._is_closed.wait(max(0.0, due - time.monotonic())):
            due = max(due + 1 / self.fps, time.monotonic() - 1 / self.fps)
            data = numbered_jpeg(self.sent, *self.size_hw, random)
            is_warm = self.sent - first >= _GOOD_FIRST
            if is_warm:
                data = data[: int(len(data) * self.kept)]
            is_spoilt = self._spoil_next and is_warm
            if is_spoilt:
                self._spoil_next = False
                data = bytes(len(data))
            head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            write(head.encode() + data + b"\r\n")
            if is_spoilt:
                self.spoilt.append(self.sent)
            self.sent += 1
            if self._hang_up and is_warm:
                self._hang_up = False
                self.size_hw = self._next_size_hw
                return


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    stream: MjpegServer


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.end_headers()
        with contextlib.suppress(OSError):  # the viewer is gone
            cast(_Server, self.server).stream.serve(self.wfile.write)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def numbered_jpeg(number: int, height: int, width: int, random: np.random.Generator) -> bytes:
    """Return a noisy frame with a 16-bit number in its upper corner, legible after JPEG."""
    level = 96 + 32 * np.sin(np.arange(width) / 17 + number / 5)
    frame = random.normal(0, 12, (height, width, 3)) + level[:, None]
    frame = np.clip(frame, 0, 255).astype(np.uint8)
    for bit in range(2 * _BITS):
        row, column = divmod(bit, _BITS)
        cell = frame[row * _CELL_PX :, column * _CELL_PX :][:_CELL_PX, :_CELL_PX]
        cell[:] = 235 if number >> bit & 1 else 20
    return cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def read_number(pixels: np.ndarray) -> int:
    """Read the number in a frame: (H, W, C) uint8."""
    cells = pixels[: 2 * _CELL_PX, : _BITS * _CELL_PX].reshape(2, _CELL_PX, _BITS, _CELL_PX, -1)
    bits = (cells.mean(axis=(1, 3, 4)) > 127).ravel()
    return int(sum(1 << index for index, bit in enumerate(bits) if bit))
