"""A window that shows frames before | after."""

from __future__ import annotations

import os
import sys

import numpy as np

from ..errors import EnvironmentFault
from ..frame import Frame
from ..opencv import load_opencv


class WindowSink:
    """Shows before | after in a window; q, Esc or closing the window ends it.

    Raises:
        EnvironmentFault: there is no display, or the OpenCV that is installed cannot open windows.
    """

    def __init__(self, title: str = "before | after") -> None:
        self._title = title
        # Without a display some builds of OpenCV end the whole process, so look first.
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise EnvironmentFault("there is no display to show frames on; write them with -o DIR")
        self._cv2 = load_opencv()
        try:
            # Not kept quiet: a display that does not answer makes Qt end the process with its own message.
            self._cv2.namedWindow(title, self._cv2.WINDOW_NORMAL | self._cv2.WINDOW_KEEPRATIO)
        except self._cv2.error as error:
            raise EnvironmentFault(
                "the OpenCV that is installed opens no windows; write frames with -o DIR, "
                "or pip install opencv-python in the place of opencv-python-headless"
            ) from error

    def write(self, frame: Frame, denoised: np.ndarray, /) -> bool:
        """Show one frame; False once the user has ended it."""
        both = np.concatenate([frame.pixels, denoised], axis=1)
        if both.shape[2] == 3:
            both = self._cv2.cvtColor(both, self._cv2.COLOR_RGB2BGR)
        self._cv2.imshow(self._title, both)
        if self._cv2.waitKey(1) & 0xFF in (ord("q"), 27):
            return False
        return self._cv2.getWindowProperty(self._title, self._cv2.WND_PROP_VISIBLE) >= 1

    def close(self) -> None:
        """Close the window."""
        self._cv2.destroyAllWindows()
