"""Where camera frames go: a window, or a folder of numbered pictures."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Protocol

import numpy as np

from .errors import EnvironmentFault
from .frame import Frame
from .image import Image, write_image
from .opencv import load_opencv


class Sink(Protocol):
    """What takes frames, as they came and denoised; written and closed by one thread."""

    def write(self, frame: Frame, denoised: np.ndarray, /) -> bool:
        """Take one frame and its result, of the same shape and dtype; False when no more are wanted."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


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


class FolderSink:
    """Writes the denoised frames as 000000.png, 000001.png, …, each whole or not at all.

    In a folder that has such pictures the numbers go on after the highest, so that none is lost.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        numbers = [int(path.stem) for path in self._folder.glob("*.png") if path.stem.isdecimal()]
        self._next = max(numbers, default=-1) + 1

    def write(self, _frame: Frame, denoised: np.ndarray, /) -> bool:
        """Write one frame.

        Raises:
            UserError: the folder cannot be written, or the disk is full.
        """
        write_image(self._folder / f"{self._next:06}.png", Image(denoised))
        self._next += 1
        return True

    def close(self) -> None:
        """Nothing is held."""
