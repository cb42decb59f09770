"""The virtual camera, with a stand-in for pyvirtualcam."""

from __future__ import annotations

import sys
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest
from n2b.runtime.errors import EnvironmentFault, MissingPackageError
from n2b.runtime.frame import Frame
from n2b.runtime.sinks import VirtualCameraSink

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


class FakeCamera:
    made: list[FakeCamera]

    def __init__(self, width, height, fps, device):
        self.width, self.height, self.fps = width, height, fps
        self.device = device or "/dev/video9"
        self.sent, self.is_closed = [], False
        self.made.append(self)

    def send(self, pixels):
        assert pixels.shape == (self.height, self.width, 3) and pixels.flags.c_contiguous
        self.sent.append(pixels)

    def close(self):
        self.is_closed = True


@pytest.fixture
def made(monkeypatch):
    """The cameras that are opened."""
    FakeCamera.made = []
    monkeypatch.setitem(sys.modules, "pyvirtualcam", SimpleNamespace(Camera=FakeCamera))
    return FakeCamera.made


def send(sink, pixels):
    return sink.write(Frame(pixels, "0", 0, 0), pixels)


def test_denoised_frames_are_sent_in_rgb(made, caplog):
    caplog.set_level("INFO", "n2b")
    with closing(VirtualCameraSink()) as sink:
        assert send(sink, PIXELS) and send(sink, PIXELS[:, :, :1])
    (camera,) = made
    assert np.array_equal(camera.sent[0], PIXELS)
    assert np.array_equal(camera.sent[1], PIXELS[:, :, [0, 0, 0]])
    assert camera.is_closed
    assert caplog.messages == ["virtual camera: /dev/video9"]


def test_a_device_may_be_named(made):
    with closing(VirtualCameraSink("/dev/video20")) as sink:
        send(sink, PIXELS)
    assert made[0].device == "/dev/video20"


def test_frames_of_another_size_are_scaled_to_the_first(made):
    with closing(VirtualCameraSink()) as sink:
        send(sink, PIXELS)
        send(sink, PIXELS[:24, :32])
    assert made[0].sent[1].shape == (48, 64, 3)


def test_odd_sides_are_made_even_and_said(made, caplog):
    with closing(VirtualCameraSink()) as sink:
        send(sink, PIXELS[:47, :61])
    assert made[0].sent[0].shape == (48, 62, 3)
    assert "scaled to 62×48 px" in caplog.text


def test_without_a_virtual_camera_one_line_says_how_to_get_one(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("No v4l2 loopback device found")

    monkeypatch.setitem(sys.modules, "pyvirtualcam", SimpleNamespace(Camera=fail))
    monkeypatch.setattr(sys, "platform", "linux")
    with (
        closing(VirtualCameraSink()) as sink,
        pytest.raises(EnvironmentFault, match=r"no virtual camera: No v4l2 .* modprobe v4l2loopback"),
    ):
        send(sink, PIXELS)


def test_a_device_that_is_not_there_is_one_line():
    pytest.importorskip("pyvirtualcam", reason="needs the package pyvirtualcam")
    with (
        closing(VirtualCameraSink("/dev/video4711")) as sink,
        pytest.raises(EnvironmentFault, match="no virtual camera: ") as caught,
    ):
        send(sink, PIXELS)
    assert "\n" not in str(caught.value)


def test_without_pyvirtualcam_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'noise2blur\[virtualcam\]'"):
        VirtualCameraSink()
