"""LiveCamera: the newest frame of a camera, which is opened again when it is lost."""

from __future__ import annotations

import dataclasses
import logging
import math
import threading
import time
from typing import Any

import numpy as np

from ..errors import DeviceError
from ..frame import Frame
from ..system.opencv import load_opencv
from ..system.signals import Stop
from .capture import Address, differences, no_camera, open_capture

_logger = logging.getLogger(__name__)

_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.5, 10.0  # between attempts to open it again; doubled each time
_FAILURES_OF_A_LOSS = 10  # in a row; fewer are damaged frames
_SILENCE_OF_A_LOSS_S = 2.0
_LOOKS_S = 0.1  # how often a wait looks whether to stop
_MOST_TO_OPEN_S = 20.0  # some pipelines that lack an element keep OpenCV for ever
_FAREWELL_S = 2.0  # how long to wait for the thread; OpenCV may be in a read that takes longer


class LiveCamera:
    """An iterator of frames that gives the newest each time, so that a slow user never lags behind.

    A thread takes frames from the camera as they come and keeps the newest, decoded: to decode only what is
    taken would mean to wait for the next frame each time (a capture serves one thread at a time), and would
    halve the rate of a model that is a little slower than the camera. What is dropped is counted in the
    frames' indices, from the first frame that was asked for.

    Args:
        address: the camera.
        reconnect: open it again for ever when it is lost, after half a second, later every 10 s; False: a
            loss is an error.
        stop: ends the frames, also while a lost camera is waited for.

    Raises:
        DeviceError: the camera does not open, or gives no frame. The iteration raises it too, when the camera
            is lost and not to be opened again.
    """

    def __init__(self, address: Address, *, reconnect: bool = True, stop: Stop | None = None) -> None:
        load_opencv()
        self._address = address
        self._stop = stop or Stop()
        self._closing = threading.Event()
        self._changed = threading.Condition()
        # Shared with the thread, under `_changed`:
        self._newest: Frame | None = None  # its colours in OpenCV's order
        self._is_asked = False
        self._error: BaseException | None = None
        # The thread's own:
        self._received = self._index = self._corrupt = self._connection = 0
        self._lost_at_s: float | None = None

        self._thread = threading.Thread(
            target=self._work, args=(reconnect,), name=f"camera {address.name}", daemon=True
        )
        self._thread.start()
        try:
            if self._wait(_MOST_TO_OPEN_S) is None and not self._stop.is_due:
                raise DeviceError(f"{no_camera(address)} (waited {_MOST_TO_OPEN_S:g} s)")
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> LiveCamera:
        return self

    def __next__(self) -> Frame:
        with self._changed:
            self._is_asked = True
        frame = self._wait()
        if frame is None:
            raise StopIteration
        with self._changed:
            frame, self._newest = self._newest or frame, None
        return _in_rgb(frame)

    def close(self) -> None:
        """Release the camera. May be called by any thread, and again."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(_FAREWELL_S)
        if self._thread.is_alive():
            _logger.warning(
                f"camera {self._address.name} does not answer; it is let go when the program ends"
            )

    def _wait(self, most_s: float = math.inf) -> Frame | None:
        """The newest frame, which stays there, once there is one; None: it is time to stop, or too late."""
        until_s = time.monotonic() + most_s
        with self._changed:
            while not (self._stop.is_due or self._closing.is_set()) and time.monotonic() < until_s:
                if self._newest is not None:
                    return self._newest
                if self._error is not None:
                    raise self._error
                self._changed.wait(_LOOKS_S)
        return None

    def _work(self, reconnect: bool) -> None:
        """The thread: open, take frames until it is lost, and again."""
        try:
            delay_s = _FIRST_DELAY_S
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
                    delay_s = _FIRST_DELAY_S
                    self._lost_at_s = time.monotonic()
                    _logger.warning(f"camera {self._address.name} is lost; trying again until it is back")
                self._closing.wait(delay_s)
                delay_s = min(2 * delay_s, _LONGEST_DELAY_S)
        except BaseException as error:  # raised again in the thread that takes the frames
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _connect(self) -> None:
        """Open the camera, and keep its newest frame until it is lost."""
        try:
            capture = open_capture(self._address)
        except DeviceError:
            return
        try:
            is_first = True
            for pixels, captured_ns in self._pictures(capture):
                if is_first:
                    self._greet(capture, *pixels.shape[:2])
                    is_first = False
                self._put(pixels, captured_ns)
        finally:
            capture.release()

    def _pictures(self, capture: Any) -> Any:
        """What a capture gives until it is lost: pixels as OpenCV orders them, and when they came, in ns."""
        failures, last_s = 0, time.monotonic()
        while not self._closing.is_set():
            if capture.grab():
                captured_ns = time.monotonic_ns()
                is_whole, pixels = capture.retrieve()
                if is_whole:
                    self._corrupt += failures
                    failures, last_s = 0, time.monotonic()
                    yield pixels, captured_ns
                    continue
            failures += 1
            if failures >= _FAILURES_OF_A_LOSS or time.monotonic() - last_s > _SILENCE_OF_A_LOSS_S:
                return

    def _greet(self, capture: Any, height: int, width: int) -> None:
        """Say what is otherwise than asked, or that a lost camera is back."""
        if self._lost_at_s is not None:
            self._connection += 1
            away_s = time.monotonic() - self._lost_at_s
            self._lost_at_s = None
            _logger.info(f"camera {self._address.name} is back after {away_s:.1f} s")
        elif (other := differences(self._address.settings, capture, height, width)) is not None:
            _logger.warning(f"camera {self._address.name} gives {other}")

    def _put(self, pixels: np.ndarray, captured_ns: int) -> None:
        self._received += 1
        with self._changed:
            if not self._is_asked:  # what comes before anyone asks is not counted
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


def _in_rgb(frame: Frame) -> Frame:
    cv2 = load_opencv()
    pixels = frame.pixels
    rgb = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if pixels.ndim == 3 else pixels[:, :, None]
    return dataclasses.replace(frame, pixels=rgb)
