"""Publish denoised frames to a media server, so that other programs can watch them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np

from ..frame import Frame
from ..passwords import hide_passwords
from .publication import Publication, check_address, choose_encoder, reason_of

_logger = logging.getLogger(__name__)

_FIRST_DELAY_S, _LAST_DELAY_S = 0.5, 10.0  # between attempts to connect
_CLOSE_S = 3.0  # longest wait for the thread, which may be connecting

_Waiting = tuple[Frame, np.ndarray]


class RestreamSink:
    """Publishes the denoised frames as H.264 to an RTSP, RTMP or SRT server.

    `write` only stores the newest frame, which a thread encodes and sends: a slow or lost server never holds
    up the camera. Frames that it does not take in time are dropped and counted. The server is connected to
    again and again, after half a second, later every 10 s.

    Args:
        address: rtsp://HOST[:PORT]/NAME, rtmp://… or srt://…, with or without user:password@.

    Attributes:
        sent: frames sent.
        dropped: frames skipped for newer ones, or while there was no connection.
        reconnects: times that the connection was lost and made again.

    Raises:
        UserError: the address is none of these.
        EnvironmentFault: the installed av cannot encode H.264, or lacks that protocol.
        MissingPackageError: av is not installed.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self.shown_address = hide_passwords(address, is_address=True)
        check_address(address)
        self._encoder = choose_encoder()
        self.sent = self.dropped = self.reconnects = 0
        self._changed = threading.Condition()
        self._waiting: _Waiting | None = None  # the newest frame; guarded, as the next
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name=f"restream {self.shown_address}", daemon=True)
        self._thread.start()

    def write(self, frame: Frame, denoised: np.ndarray, /) -> bool:
        """Store one frame, which must not be modified afterwards; return True."""
        with self._changed:
            self.dropped += self._waiting is not None
            self._waiting = frame, denoised
            self._changed.notify_all()
        return True

    def close(self) -> None:
        """End the stream; may be called again."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join(_CLOSE_S)
        _logger.info(
            f"restream {self.shown_address}: {self.sent} frames sent, {self.dropped} dropped, "
            f"{self.reconnects} times reconnected"
        )

    def _run(self) -> None:
        """Publish in the thread: connect, send until the connection is lost or the size changes, again."""
        delay_s, reason = _FIRST_DELAY_S, ""
        frames = self._frames()
        first = next(frames, None)
        while first is not None:
            before = self.sent
            try:
                with closing(Publication(self._address, self._encoder, *first[1].shape[:2])) as publication:
                    height, width = first[1].shape[:2]
                    self.reconnects += bool(reason and self.sent)
                    _logger.info(f"restream {self.shown_address}: sending {width}×{height} px")
                    first = self._send(publication, first, frames)
                delay_s, reason = _FIRST_DELAY_S, ""
                continue
            except Exception as error:
                if self.sent > before:
                    delay_s, reason = _FIRST_DELAY_S, ""
                if (new_reason := reason_of(error)) != reason:
                    reason = new_reason
                    _logger.warning(f"restream {self.shown_address}: {reason}; trying again")
            self.dropped += 1
            self._pause(delay_s)
            delay_s = min(2 * delay_s, _LAST_DELAY_S)
            first = next(frames, None)

    def _send(self, publication: Publication, first: _Waiting, frames: Iterator[_Waiting]) -> _Waiting | None:
        """Send frames; return the first one of another size, None at the end."""
        following: _Waiting | None = first
        while following is not None and following[1].shape[:2] == first[1].shape[:2]:
            frame, denoised = following
            publication.send(denoised, frame.captured_ns or time.monotonic_ns())
            self.sent += 1
            following = next(frames, None)
        return following

    def _frames(self) -> Iterator[_Waiting]:
        """Yield the newest frame as it comes, until the sink is closed."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or self._is_closing)
                if self._is_closing:
                    return
                assert self._waiting is not None
                waiting, self._waiting = self._waiting, None
            yield waiting

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closing, seconds)
