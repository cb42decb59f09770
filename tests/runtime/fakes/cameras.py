"""A stand-in for OpenCV's captures."""

from __future__ import annotations

import time

import numpy as np

GOOD, CORRUPT, NOTHING = "good", "corrupt", "nothing"


class FakeCameras:
    """Stands in for cv2.VideoCapture: each opening plays the next script, the last one for ever.

    A script is what the grabs give, one after the other; None: the camera does not open. After its end
    grabs give nothing. Pixels are (index of the opening, index of the grab, 200), blue first.
    """

    interval_s = 0.002

    def __init__(self, *scripts):
        self.scripts = list(scripts)
        self.opened = []
        self.released = 0
        self.set = {}
        self.given = {}
        self.size_hw = [(4, 6)]

    def __call__(self, target, *arguments):
        self.opened.append((target, *arguments))
        number = len(self.opened) - 1
        return Capture(self, number, self.scripts[min(number, len(self.scripts) - 1)])


class Capture:
    """One opening of a camera."""

    def __init__(self, cameras, number, script):
        self._cameras, self._number, self._script = cameras, number, script
        self._at = -1

    def isOpened(self):  # noqa: N802
        return self._script is not None

    def grab(self):
        self._at += 1
        if self._script is None or self._at >= len(self._script):
            return False
        time.sleep(self._cameras.interval_s)
        return self._script[self._at] != NOTHING

    def retrieve(self):
        if self._script[self._at] == CORRUPT:
            return False, None
        sizes = self._cameras.size_hw
        height, width = sizes[min(self._number, len(sizes) - 1)]
        return True, np.full((height, width, 3), (self._number, self._at % 256, 200), np.uint8)

    def set(self, setting, value):
        self._cameras.set[setting] = value
        return True

    def get(self, setting):
        return self._cameras.given.get(setting, 0.0)

    def release(self):
        self._cameras.released += 1
