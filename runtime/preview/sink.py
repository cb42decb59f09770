"""Show frames on the live page."""

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
    """Shows frames, before and after, in browsers; every viewer may change the strength.

    `write` only stores the newest frame; other threads encode and send it. An address that other machines can
    reach is protected by a new random token.

    Args:
        address: [HOST:]PORT; without a host, 127.0.0.1. Port 0 selects a free one.
        controls: changed by the page.

    Raises:
        UserError: the address is invalid.
        EnvironmentFault: the port is in use or not permitted, or the package websockets is not installed.
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
        """Store one frame and its result, which must not be modified afterwards; return True."""
        self._live.put(Pair(frame.index, frame.pixels, denoised))
        self._server.announce()
        return True

    def close(self) -> None:
        """Disconnect the viewers, free the port and end the threads."""
        self._server.close()
