"""Show frames in a window, before | after, divided by a line."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from ..errors import EnvironmentFault
from ..frame import Frame
from ..images.convert import to_rgb_uint8
from ..system.opencv import load_opencv
from ..system.packages import has_distribution

_ESCAPE, _SPACE = 27, 32
VIEWS = SPLIT, BEFORE, AFTER = "before | after", "before", "after"


def _windows_hint() -> str:
    if has_distribution("opencv-python-headless"):
        return ", or pip install opencv-python in place of opencv-python-headless"
    return ""


class WindowSink:
    """Shows each frame, noisy left of a line and denoised right of it. An InteractiveSink.

    Space cycles through both, before and after; the line follows the mouse while a button is pressed; q, Esc
    or closing the window ends the stream. Images are drawn at the window's size, so that line and text are
    sharp.

    Raises:
        EnvironmentFault: there is no display, or the installed OpenCV cannot open windows.
    """

    def __init__(self, title: str = "n2b") -> None:
        self._title = title
        self._view = 0
        self._divider = 0.5  # of the width
        self._frame: tuple[np.ndarray, np.ndarray] | None = None  # the latest, before and after
        self._is_drawn = False  # with the current view and line
        self._is_ended = False
        # Without a display some builds of OpenCV end the process, so check first.
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise EnvironmentFault(
                "there is no display to show frames on; write them with -o DIR or --record out.mp4, "
                "or use --headless"
            )
        self._cv2 = load_opencv()
        try:
            # Not quiet: if the display does not respond, Qt ends the process with its own message.
            cv2 = self._cv2
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except self._cv2.error as error:
            raise EnvironmentFault(
                f"the installed OpenCV cannot open windows; write frames with -o DIR{_windows_hint()}"
            ) from error
        self._cv2.setMouseCallback(title, self._on_mouse)

    def write(self, frame: Frame, denoised: np.ndarray, /) -> bool:
        """Show one frame; return False once the user has ended the stream."""
        height, width = denoised.shape[:2]
        if self._frame is None:
            self._cv2.resizeWindow(self._title, width, height)
        self._frame, self._is_drawn = (frame.pixels, denoised), False
        return self.poll()

    def poll(self) -> bool:
        """Handle keys and mouse; return False once the user has ended the stream."""
        if self._frame is not None and not self._is_drawn and not self._is_ended:
            self._cv2.imshow(self._title, self._draw(*self._frame))
            self._is_drawn = True
        key = self._cv2.waitKey(1) & 0xFF
        if key == _SPACE:
            self._view = (self._view + 1) % len(VIEWS)
            self._is_drawn = False
        if key in (ord("q"), _ESCAPE) or (self._frame is not None and not self._is_visible()):
            self._is_ended = True
        return not self._is_ended

    def close(self) -> None:
        """Close the window."""
        self._cv2.destroyAllWindows()

    def _shown_hw(self, height: int, width: int) -> tuple[int, int]:
        """Return the size (height, width) in px at which a frame fits into the window."""
        _, _, window_width, window_height = self._cv2.getWindowImageRect(self._title)
        if min(window_width, window_height) <= 0:  # not on the screen yet
            return height, width
        scale = min(window_width / width, window_height / height)
        return max(1, round(scale * height)), max(1, round(scale * width))

    def _is_visible(self) -> bool:
        return self._cv2.getWindowProperty(self._title, self._cv2.WND_PROP_VISIBLE) >= 1

    def _draw(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Return the image to show, (height, width, 3) uint8 BGR."""
        height, width = self._shown_hw(*after.shape[:2])
        view = VIEWS[self._view]
        shown = self._scaled(before if view == BEFORE else after, height, width)
        if view == SPLIT:
            divider = round(self._divider * width)
            shown[:, :divider] = self._scaled(before, height, width)[:, :divider]
            self._cv2.line(shown, (divider, 0), (divider, height), (0, 0, 0), 3)
            self._cv2.line(shown, (divider, 0), (divider, height), (255, 255, 255), 1)
        for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            font = self._cv2.FONT_HERSHEY_SIMPLEX
            self._cv2.putText(shown, view, (8, 20), font, 0.5, colour, thickness, self._cv2.LINE_AA)
        return shown

    def _scaled(self, pixels: np.ndarray, height: int, width: int) -> np.ndarray:
        cv2 = self._cv2
        bgr = cv2.cvtColor(to_rgb_uint8(pixels), cv2.COLOR_RGB2BGR)
        if bgr.shape[:2] == (height, width):
            return bgr
        is_smaller = height < bgr.shape[0]
        return cv2.resize(
            bgr, (width, height), interpolation=cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
        )

    def _on_mouse(self, _event: int, x: int, _y: int, flags: int, _data: Any = None) -> None:
        if flags & self._cv2.EVENT_FLAG_LBUTTON:
            width = max(1, self._cv2.getWindowImageRect(self._title)[2])
            self._divider = min(max(x / width, 0.0), 1.0)
            self._is_drawn = False
