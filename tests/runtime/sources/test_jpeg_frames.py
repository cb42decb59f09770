"""JPEG frames of cameras that arrive cut, damaged or padded."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from n2b.runtime.sources.capture import Address
from n2b.runtime.sources.jpeg_frames import JpegFrames

MJPG = cv2.VideoWriter.fourcc(*"MJPG")
IMAGE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
WHOLE = cv2.imencode(".jpg", IMAGE)[1].tobytes()
MIDDLE = len(WHOLE) // 2
NOISE = np.random.default_rng(1).integers(0, 255, 900, np.uint8).tobytes()

DAMAGED = {
    "cut in half": WHOLE[:MIDDLE],
    "cut at a tenth": WHOLE[: len(WHOLE) // 10],
    "without its last 20 bytes": WHOLE[:-20],
    "cut in half, padded to its length": WHOLE[:MIDDLE] + bytes(MIDDLE),
    "cut in half, with an end": WHOLE[:MIDDLE] + WHOLE[-2:],
    "with a hole of zeros": WHOLE[:MIDDLE] + bytes(900) + WHOLE[MIDDLE + 900 :],
    "with noise": WHOLE[:MIDDLE] + NOISE + WHOLE[MIDDLE + 900 :],
    "with 900 bytes missing": WHOLE[:MIDDLE] + WHOLE[MIDDLE + 900 :],
    "no JPEG": bytes(1000),
}
GOOD = {
    "whole": WHOLE,
    "padded": WHOLE + bytes(40),
    "padded before its end": WHOLE[:-2] + bytes(4) + WHOLE[-2:],
    "with a line end": WHOLE + b"\r\n",
}


class Capture:
    """An open capture that gives bytes, once it is asked for them."""

    def __init__(self, *frames: bytes, can_give_bytes: bool = True) -> None:
        self._frames = iter(frames)
        self._can_give_bytes = can_give_bytes
        self.set_to: dict[int, float] = {}

    def get(self, setting: int) -> float:
        return float(MJPG if setting == cv2.CAP_PROP_FOURCC else 0)

    def set(self, setting: int, value: float) -> bool:
        self.set_to[setting] = value
        return self._can_give_bytes

    def retrieve(self) -> tuple[bool, np.ndarray]:
        data = np.frombuffer(next(self._frames), np.uint8)
        gives_bytes = self._can_give_bytes and set(self.set_to.values()) & {-1, 0}
        return True, data[None] if gives_bytes else IMAGE


def delivered(*frames: bytes, kind: Any = "network", **options: bool) -> list[bool]:
    jpeg_frames = JpegFrames(Capture(*frames, **options), Address("cam", "cam", kind))
    return [jpeg_frames.retrieve() is not None for _ in frames]


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("kind", ["network", "device"])
def test_damaged_frames_are_not_delivered(name, kind):
    assert delivered(WHOLE, DAMAGED[name], WHOLE, DAMAGED[name], kind=kind) == [True, False, True, False]
    assert delivered(DAMAGED[name], WHOLE, DAMAGED[name], kind=kind) == [False, True, False]


@pytest.mark.parametrize("name", GOOD)
def test_padded_frames_are_delivered(name):
    assert delivered(WHOLE, GOOD[name], GOOD[name]) == [True, True, True]


@pytest.mark.parametrize("data", [WHOLE[:-2], WHOLE[:MIDDLE] + WHOLE[MIDDLE + 900 :]])
def test_a_camera_that_sends_no_other_frames_is_taken_as_it_is(data, caplog):
    assert delivered(*[data] * 7) == [False] * 4 + [True] * 3
    assert caplog.messages == ["camera cam sends damaged JPEG frames only; they are used as they are"]


@pytest.mark.parametrize("kind", ["network", "device", "gstreamer"])
def test_an_opencv_that_gives_no_bytes_decodes_itself(kind):
    assert delivered(WHOLE, WHOLE[:MIDDLE], kind=kind, can_give_bytes=False) == [True, True]


def test_a_driver_that_gives_pixels_all_the_same_goes_on_with_them():
    capture = Capture(WHOLE, WHOLE, WHOLE)
    jpeg_frames = JpegFrames(capture, Address("0", 0, "device"))
    capture.set_to.clear()
    assert [jpeg_frames.retrieve() is not None for _ in range(3)] == [False, True, True]
    assert capture.set_to == {cv2.CAP_PROP_CONVERT_RGB: 1}
