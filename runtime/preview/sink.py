"""Show frames on the live page."""

from __future__ import annotations

import secrets
from pathlib import Path

import numpy as np

from ..controls import Controls
from ..frame import Frame
from ..live_stats import StreamMeter
from .access import Access
from .address import listen
from .live import Live
from .messages import Pair
from .server import PageServer, require_websockets
from .token import TOKEN_BYTES, stored_token


class Page:
    """The live page of any number of cameras, in browsers and for programs that read MJPEG.

    An address that other machines can reach is protected by a token.

    Args:
        address: [HOST:]PORT; without a host, 127.0.0.1. Port 0 selects a free one.
        token_file: file with the token, made if it is not there; None: a new token, and none for an address
            that only this machine can reach.

    Raises:
        UserError: the address is invalid, or the file is not one of a token.
        EnvironmentFault: the port is in use or not permitted, or the package websockets is not installed.
    """

    def __init__(self, address: str, max_viewers: int = 4, token_file: Path | None = None) -> None:
        require_websockets()
        token = None if token_file is None else stored_token(token_file)
        endpoint = listen(address)
        if token is None and not endpoint.is_loopback:
            token = secrets.token_urlsafe(TOKEN_BYTES)
        self.url = endpoint.url + (f"?token={token}" if token else "")
        self._server = PageServer(endpoint, Access(token, endpoint.port, endpoint.names), max_viewers)

    def camera(self, name: str, controls: Controls, meter: StreamMeter) -> CameraView:
        """Return a sink for the frames of one more camera; `controls` are changed by the page."""
        return CameraView(self._server, self._server.add_camera(name, controls, meter))

    def close(self) -> None:
        """Disconnect the viewers, free the port and end the threads."""
        self._server.close()


class CameraView:
    """Shows the frames of one camera, before and after, on a page that others may share. A Sink.

    `write` only stores the newest frame; other threads encode and send it.
    """

    def __init__(self, server: PageServer, live: Live) -> None:
        self._server, self._live = server, live

    def write(self, frame: Frame, denoised: np.ndarray, /) -> bool:
        """Store one frame and its result, which must not be modified afterwards; return True."""
        self._live.put(Pair(frame.index, frame.pixels, denoised))
        self._server.announce(self._live)
        return True

    def close(self) -> None:
        """Leave the last frame on the page, which is closed by its owner."""


class PageSink(CameraView):
    """A page with one camera, which it closes; see Page."""

    def __init__(
        self,
        address: str,
        controls: Controls,
        meter: StreamMeter,
        max_viewers: int = 4,
        token_file: Path | None = None,
    ) -> None:
        page = self._page = Page(address, max_viewers, token_file)
        self.url = page.url
        super().__init__(page._server, page._server.add_camera("camera", controls, meter))

    def close(self) -> None:
        """Disconnect the viewers, free the port and end the threads."""
        self._page.close()
