"""Send the newest denoised frame again and again over HTTP: MJPEG, as cameras do."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from .live import Live
from .messages import Pair
from .viewer import SEND_TIMEOUT_S

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

_BOUNDARY = "n2b-frame"
MJPEG = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
_SEND_BYTES = 131_072  # of the system's buffer: few frames wait for a slow client


async def stream_jpegs(connection: ServerConnection, live: Live, width_px: int | None, head: bytes) -> None:
    """Send frames until the client leaves or takes nothing for SEND_TIMEOUT_S.

    The next frame is chosen when the previous one is sent: a slow client gets fewer, and holds up nobody.

    Args:
        width_px: greatest width of the frames; None: that of the camera.
        head: of the HTTP response.
    """
    transport = connection.transport
    # Report a buffer that is not empty: the default allows 64 KB, a few frames.
    transport.set_write_buffer_limits(high=0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
    shown: Pair | None = None
    transport.write(head + f"--{_BOUNDARY}\r\n".encode())
    while True:
        await asyncio.wait_for(connection.drain(), SEND_TIMEOUT_S)
        if transport.is_closing():  # wait_for of Python before 3.12 may swallow the cancellation that follows
            return
        shown = await live.newer_than(shown)
        image = await live.jpeg(shown, width_px)
        # With the next boundary: some clients show a part when that comes.
        part = f"Content-Type: image/jpeg\r\nContent-Length: {len(image)}\r\n\r\n".encode()
        transport.write(part + image + f"\r\n--{_BOUNDARY}\r\n".encode())
