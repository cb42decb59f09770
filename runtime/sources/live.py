"""Read the newest frame of a camera, and reconnect when it is lost."""

from __future__ import annotations

import atexit
import dataclasses
import logging
import math
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import DeviceError
from ..frame import Frame
from ..system.opencv import load_opencv
from ..system.signals import Stop
from .capture import Address, differences, no_camera, open_capture
from .h264_frames import H264Frames
from .jpeg_frames import JpegFrames

_logger = logging.getLogger(__name__)

_MAX_FAILURES = 10  # consecutive frames; fewer are damaged frames, more a lost camera
_MAX_SILENCE_S = 2.0  # without a frame; after that the camera is lost
_MAX_WAIT_S = 10.0  # with packets that give no whole frame: until the next key frame
_POLL_S = 0.1  # interval at which a wait checks whether to stop
_open: weakref.WeakSet[LiveCamera] = weakref.WeakSet()


@dataclasses.dataclass(frozen=True)
class Timing:
    """Times of a live camera, in seconds.

    Attributes:
        open_s: to wait for the first frame; OpenCV never returns from some pipelines that lack an element.
        close_s: to wait for the thread, which may be in a longer read.
        first_delay_s: between the loss and the first attempt to reconnect; doubled for each further one.
        last_delay_s: the longest delay between attempts.
    """

    open_s: float = 20.0
    close_s: float = 2.0
    first_delay_s: float = 0.5
    last_delay_s: float = 10.0


class LiveCamera:
    """An iterator that yields the newest frame of a camera, so that a slow consumer does not lag behind.

    A thread decodes all frames and keeps the newest. If only the frames in use were decoded, each would mean
    a wait for the next one (a capture serves one thread at a time), which would halve the frame rate of a
    model that is a little slower than the camera. The frames' indices count dropped frames, starting at the
    first frame that was requested.

    Attributes:
        timing: how long to wait; of all cameras.

    Args:
        reconnect: open a lost camera again and again, after half a second, later every 10 s; False: raise an
            error.
        stop: ends the iteration, also while the camera is lost.

    Raises:
        DeviceError: the camera does not open or yields no frame. The iteration raises it if the camera is
            lost and `reconnect` is False.
    """

    timing = Timing()

    def __init__(self, address: Address, *, reconnect: bool = True, stop: Stop | None = None) -> None:
        load_opencv()
        _open.add(self)
        self._address = address
        self._stop = stop or Stop()
        self._closing = threading.Event()
        self._changed = threading.Condition()
        # Shared with the thread, guarded by `_changed`:
        self._newest: Frame | None = None  # BGR
        self._has_begun = False
        self._error: BaseException | None = None
        # Used by the thread only:
        self._received = self._index = self._corrupt = self._connection = 0
        self._lost_at_s: float | None = None

        self._thread = threading.Thread(
            target=self._run, args=(reconnect,), name=f"camera {address.name}", daemon=True
        )
        self._thread.start()
        try:
            if self._wait(self.timing.open_s) is None and not self._stop.is_due:
                raise DeviceError(f"{no_camera(address)} (waited {self.timing.open_s:g} s)")
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> LiveCamera:
        return self

    def __next__(self) -> Frame:
        with self._changed:
            self._has_begun = True
        frame = self._wait()
        if frame is None:
            raise StopIteration
        with self._changed:
            frame, self._newest = self._newest or frame, None
        return _to_rgb(frame)

    def close(self) -> None:
        """Release the camera. Any thread may call it, repeatedly."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(self.timing.close_s)
        if self._thread.is_alive():
            _logger.warning(f"camera {self._address.name} does not respond; it is released at exit")
        _open.discard(self)

    def _wait(self, timeout_s: float = math.inf) -> Frame | None:
        """Wait for the newest frame and return it, without removing it; None: stopped or timed out."""
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while not (self._stop.is_due or self._closing.is_set()) and time.monotonic() < deadline_s:
                is_alive = self._thread.is_alive()
                if self._newest is not None:
                    return self._newest
                if self._error is not None:
                    raise self._error
                if not is_alive:
                    raise DeviceError(
                        f"camera {self._address.name} was opened before fork(); open it in this process"
                    )
                self._changed.wait(_POLL_S)
        return None

    def _run(self, reconnect: bool) -> None:
        """Open the camera and keep its newest frame, reconnecting when it is lost. Runs in the thread."""
        try:
            delay_s = self.timing.first_delay_s
            while not self._closing.is_set():
                before = self._received
                self._connect()
                if self._closing.is_set():
                    break
                if not self._received:
                    raise DeviceError(no_camera(self._address))
                if not reconnect:
                    raise DeviceError(f"camera {self._address.name} stopped after {self._received} frames")
                if self._received > before:
                    delay_s = self.timing.first_delay_s
                    self._lost_at_s = time.monotonic()
                    _logger.warning(f"camera {self._address.name} is lost; reconnecting")
                self._closing.wait(delay_s)
                delay_s = min(2 * delay_s, self.timing.last_delay_s)
        except BaseException as error:  # raised again in the consumer's thread
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _connect(self) -> None:
        """Open the camera and keep its newest frame until it is lost."""
        try:
            capture = open_capture(self._address)
        except DeviceError:
            return
        try:
            is_first = True
            for pixels, captured_ns in self._captured(capture):
                if is_first:
                    self._log_connection(capture, *pixels.shape[:2])
                    is_first = False
                self._publish(pixels, captured_ns)
        finally:
            capture.release()

    def _captured(self, capture: Any) -> Iterator[tuple[np.ndarray, int]]:
        """Yield BGR pixels and their capture time in ns until the camera is lost."""
        failures, last_s = 0, time.monotonic()
        decodes = H264Frames.fits(capture, self._address)
        reader = H264Frames(capture, self._address) if decodes else JpegFrames(capture, self._address)
        damaged = 0
        while not self._closing.is_set():
            if capture.grab():
                captured_ns = time.monotonic_ns()
                pixels = reader.retrieve()
                self._corrupt += reader.damaged - damaged
                damaged = reader.damaged
                if pixels is not None:
                    self._corrupt += failures
                    failures, last_s = 0, time.monotonic()
                    yield pixels, captured_ns
                    continue
                if reader.is_waiting and time.monotonic() - last_s < _MAX_WAIT_S:
                    continue
            failures += 1
            if failures >= _MAX_FAILURES or time.monotonic() - last_s > _MAX_SILENCE_S:
                return

    def _log_connection(self, capture: Any, height: int, width: int) -> None:
        """Log that a lost camera is back, or which settings a new one did not accept."""
        if self._lost_at_s is not None:
            self._connection += 1
            away_s = time.monotonic() - self._lost_at_s
            self._lost_at_s = None
            _logger.info(f"camera {self._address.name} is back after {away_s:.1f} s")
        elif (actual := differences(self._address.settings, capture, height, width)) is not None:
            _logger.warning(f"camera {self._address.name} uses {actual}")

    def _publish(self, pixels: np.ndarray, captured_ns: int) -> None:
        self._received += 1
        with self._changed:
            if not self._has_begun:  # frames before the first request are not counted
                self._index = self._corrupt = 0
            self._newest = Frame(
                pixels,
                self._address.name,
                self._index,
                captured_ns,
                captured_ns,
                self._connection,
                self._corrupt,
            )
            self._index += 1
            self._changed.notify_all()


def _to_rgb(frame: Frame) -> Frame:
    cv2 = load_opencv()
    pixels = frame.pixels
    rgb = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if pixels.ndim == 3 else pixels[:, :, None]
    return dataclasses.replace(frame, pixels=rgb)


@atexit.register
def _close_all() -> None:
    """Close all cameras: a thread that returns from OpenCV later would abort the process."""
    for camera in list(_open):
        camera.close()
