"""Take the newest frame of each of several sources in turn; none that is lost or ends stops the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

from ..errors import DeviceError
from ..frame import Frame, Frames
from ..system.signals import Stop

_logger = logging.getLogger(__name__)

_POLL_S = 0.1  # interval at which a wait checks whether to stop
_RETRY_S = 5.0  # between attempts to open a source
_CLOSE_S = 5.0  # longest wait for all threads


@dataclass(frozen=True)
class Opener:
    """How to open a source."""

    open: Callable[[], Frames]
    is_live: bool  # a frame that waits is replaced by a newer one; else the newer one waits


class NewestFrames:
    """The newest frames of several sources, each read in its thread.

    A source that cannot be opened is tried again; any other error ends it, and is kept in `ended`.

    Args:
        openers: by the names of the sources.
        stop: ends all.

    Attributes:
        ended: the sources that have ended, with the error if there was one.
    """

    def __init__(self, openers: Mapping[str, Opener], stop: Stop) -> None:
        self._stop = stop
        self._changed = threading.Condition()
        # Guarded by `_changed`:
        self._waiting: dict[str, Frame] = {}  # at most one of each
        self._order = list(openers)  # whose turn is next comes first
        self.ended: dict[str, BaseException | None] = {}
        self._threads = [
            threading.Thread(target=self._feed, args=(name, opener), name=f"frames {name}", daemon=True)
            for name, opener in openers.items()
        ]
        for thread in self._threads:
            thread.start()

    def take(self, most: int) -> list[tuple[str, Frame]]:
        """Wait for frames; return at most so many, one of each source; none: all have ended or it is to stop.

        The sources that were served longest ago come first.
        """
        with self._changed:
            while not self._waiting:
                if self._stop.is_due or len(self.ended) == len(self._order):
                    return []
                self._changed.wait(_POLL_S)
            if self._stop.is_due:
                return []
            served = [name for name in self._order if name in self._waiting][:most]
            self._order = [name for name in self._order if name not in served] + served
            taken = [(name, self._waiting.pop(name)) for name in served]
            self._changed.notify_all()
            return taken

    def end(self, name: str, error: BaseException | None = None) -> None:
        """End one source, from any thread; its waiting frame is dropped if there was an error."""
        with self._changed:
            self.ended.setdefault(name, error)
            if error is not None:
                self._waiting.pop(name, None)
            self._changed.notify_all()

    def stop(self) -> None:
        """End all sources."""
        self._stop.request()

    def close(self) -> None:
        """End all sources and release them."""
        self.stop()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(_CLOSE_S)

    def _feed(self, name: str, opener: Opener) -> None:
        reason = ""
        while not self._is_over(name):
            try:
                with closing(opener.open()) as frames:
                    reason = ""
                    for frame in frames:
                        if not self._put(name, frame, opener.is_live):
                            return
            except DeviceError as error:
                if str(error) != reason:
                    reason = str(error)
                    _logger.warning(f"camera {name}: {reason}; trying again")
                self._pause(name, _RETRY_S)
                continue
            except BaseException as error:
                self.end(name, error)
                return
            self.end(name)

    def _put(self, name: str, frame: Frame, is_live: bool) -> bool:
        """Let a frame wait for its turn; return False at the end."""
        with self._changed:
            while not is_live and name in self._waiting and not self._is_over(name):
                self._changed.wait(_POLL_S)
            if self._is_over(name):
                return False
            self._waiting[name] = frame
            self._changed.notify_all()
            return True

    def _pause(self, name: str, seconds: float) -> None:
        with self._changed:
            for _ in range(round(seconds / _POLL_S)):
                if self._is_over(name):
                    return
                self._changed.wait(_POLL_S)

    def _is_over(self, name: str) -> bool:
        return self._stop.is_due or name in self.ended
