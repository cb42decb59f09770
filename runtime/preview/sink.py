"""PageSink: frames to the live page."""

from __future__ import annotations

import secrets

import numpy as np

from ..controls import Controls
from ..frame import Frame
from ..live_stats import StreamMeter
from .access import Access
from .address import listen
from .live import Live
from .messages import Pair
from .server import PageServer, require_websockets

_TOKEN_BYTES = 16


class PageSink:
    """Shows frames, before and after, to browsers; whoever opens the page may change the strength.

    `write` only keeps the newest frame, whatever the viewers do; encoding and sending have their own
    threads. An address that other machines reach is protected by a token, made anew each time.

    Args:
        address: [HOST:]PORT; without a host this machine only, 127.0.0.1. Port 0 is a free one.
        controls: what the page may change.
        meter: what it shows.
        max_viewers: how many may watch at once.

    Raises:
        UserError: the address is none.
        EnvironmentFault: the port is in use or not allowed, or the package websockets is not installed.
    """

    def __init__(self, address: str, controls: Controls, meter: StreamMeter, max_viewers: int = 4) -> None:
        require_websockets()
        endpoint = listen(address)
        token = None if endpoint.is_loopback else secrets.token_urlsafe(_TOKEN_BYTES)
        self.url = endpoint.url + (f"?token={token}" if token else "")
        self._live = Live(controls, meter)
        access = Access(token, endpoint.port, endpoint.names)
        self._server = PageServer(endpoint, access, self._live, max_viewers)

    def write(self, frame: Frame, denoised: np.ndarray, /) -> bool:
        """Keep one frame and its result, which must not be written to afterwards; True."""
        self._live.put(Pair(frame.index, frame.pixels, denoised))
        self._server.announce()
        return True

    def close(self) -> None:
        """Tell the viewers that the program has ended, and free the port and the threads."""
        self._server.close()
