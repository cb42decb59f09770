"""H.264 of network cameras, some of it damaged on its way."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from n2b.runtime.errors import DeviceError
from n2b.runtime.sources.capture import Address
from n2b.runtime.sources.h264_frames import H264Frames
from n2b.runtime.sources.live import LiveCamera

from ..fakes.videos import av, encode

COUNT = 20
IMAGE = np.full((48, 64, 3), (200, 40, 60), np.uint8)


def noisy(number: int) -> np.ndarray:
    noise = np.random.default_rng(number).integers(-40, 40, IMAGE.shape)
    return np.clip(IMAGE + noise, 0, 255).astype(np.uint8)


def make(path: Path, damage: str) -> Path:
    """A video whose packet 12 is damaged."""
    encode(path, [noisy(number) for number in range(COUNT)], options={"g": "10"}, matrix=1)
    data = bytearray(path.read_bytes())
    if damage == "lost packets":
        middle = len(data) // 2 // 188 * 188
        del data[middle : middle + 4 * 188]
    elif damage != "none":
        with av.open(str(path)) as container:
            places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
        at, size = places[12]
        hole = np.random.default_rng(1).integers(1, 255, size // 3, np.uint8).tobytes()
        data[at + size // 3 : at + size // 3 + len(hole)] = hole if damage == "noise" else bytes(len(hole))
    path.write_bytes(data)
    return path


def address(path: Path) -> Address:
    return Address("cam", str(path), "network")


@pytest.mark.parametrize(
    "name, damage", [("a.ts", "lost packets"), ("a.mp4", "noise"), ("a.mp4", "zeros"), ("a.flv", "noise")]
)
def test_damaged_frames_are_counted_and_not_delivered(tmp_path, name, damage):
    capture = cv2.VideoCapture(str(make(tmp_path / name, damage)), cv2.CAP_FFMPEG)
    assert H264Frames.fits(capture, address(tmp_path / name))
    reader, delivered = H264Frames(capture, address(tmp_path / name)), []
    while capture.grab():
        pixels = reader.retrieve()
        assert reader.is_waiting == (pixels is None)
        delivered += [] if pixels is None else [pixels]
    assert reader.damaged >= 1
    assert COUNT - 2 - reader.damaged <= len(delivered) <= COUNT - 1
    assert np.abs(delivered[0][..., ::-1].mean(axis=(0, 1)) - IMAGE[0, 0]).max() < 6  # by BT.601: 20


def test_a_live_camera_counts_them_and_is_not_lost_by_them(tmp_path, monkeypatch):
    has_begun, real = threading.Event(), cv2.VideoCapture

    class Waiting:
        """Waits after five packets until the first frame is taken."""

        def __init__(self, *arguments):
            self._capture, self._grabs = real(*arguments), 0

        def grab(self):
            self._grabs += 1
            if self._grabs > 5:
                has_begun.wait(30)
            return self._capture.grab()

        def __getattr__(self, name):
            return getattr(self._capture, name)

    monkeypatch.setattr(cv2, "VideoCapture", Waiting)
    camera = LiveCamera(address(make(tmp_path / "a.mp4", "noise")), reconnect=False)
    seen = [next(camera)]
    has_begun.set()
    with pytest.raises(DeviceError, match="camera cam stopped after"):
        seen += camera
    camera.close()
    assert (seen[0].corrupt, seen[-1].connection) == (0, 0)
    assert seen[-1].index > 12 and seen[-1].corrupt >= 1


@pytest.mark.parametrize("name, codec, kind", [("a.avi", "mpeg4", "network"), ("a.mp4", "libx264", "device")])
def test_other_codecs_and_cameras_are_decoded_by_opencv(tmp_path, name, codec, kind):
    path = encode(tmp_path / name, [IMAGE] * 2, codec)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    assert not H264Frames.fits(capture, Address("cam", str(path), kind))


def test_without_pyav_opencv_decodes(tmp_path, monkeypatch):
    capture = cv2.VideoCapture(str(make(tmp_path / "a.mp4", "none")), cv2.CAP_FFMPEG)
    monkeypatch.setitem(sys.modules, "av", None)
    assert not H264Frames.fits(capture, address(tmp_path / "a.mp4"))
    assert capture.grab()
    assert capture.retrieve()[1].shape == IMAGE.shape
