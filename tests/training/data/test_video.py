from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.errors import DeviceError, ImageError, UserError
from n2b.runtime.images.image import read_image
from n2b.runtime.sources import Frame, Input, find_input
from n2b.training.config import TrainConfig
from n2b.training.data import video as video_module
from n2b.training.data.sources import noisy_sources
from n2b.training.data.video import record_cameras, video_frames

from ...runtime.fakes.videos import encode
from ..conftest import save_video

COUNT = 40


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Forty frames, 25 a second, ever greener."""
    return save_video(tmp_path / "video.avi", COUNT, green_step=6)


def numbers_of(frames: Iterator[tuple[int, np.ndarray]]) -> list[int]:
    """The numbers, once the pixels have shown that they are true."""
    numbers = []
    for number, pixels in frames:
        assert np.abs(pixels[20, 30].astype(int) - (200, number * 6, 0)).max() < 6
        numbers.append(number)
    return numbers


def test_a_short_video_gives_all_its_frames(video: Path) -> None:
    assert numbers_of(video_frames(video)) == list(range(COUNT))


@pytest.mark.parametrize("has_pyav", [True, False])
def test_a_long_video_gives_frames_spread_evenly_from_first_to_last(
    video: Path, monkeypatch: pytest.MonkeyPatch, has_pyav: bool
) -> None:
    if not has_pyav:
        monkeypatch.setitem(sys.modules, "av", None)
    assert numbers_of(video_frames(video, max_frames=4)) == [0, 13, 26, 39]


def test_the_colours_and_bits_of_a_video_are_trained_on(tmp_path: Path) -> None:
    image = np.full((48, 64, 3), (51400, 10300, 15500), np.uint16)
    encode(tmp_path / "a.mkv", [image] * 2, "ffv1", "yuv444p10le", matrix=1)
    (source,) = noisy_sources(TrainConfig(noisy=(str(tmp_path / "a.mkv"),), steps=1), tmp_path)
    assert source.is_deep()
    (_, pixels), _ = source.read()
    assert pixels.dtype == np.uint16
    assert np.abs(pixels.astype(int) - image).max() < 200  # of BT.601: 2500


def test_what_is_no_video_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(ImageError, match="not a video"):
        list(video_frames(tmp_path / "a.mp4"))
    with pytest.raises(UserError, match="no such video"):
        list(video_frames(tmp_path / "b.mp4"))


class Camera:
    """Gives frames at 25 a second by its own clock, each as green as its number, and counts who opened it."""

    def __init__(self, last: int = 10**6, end: BaseException | None = None) -> None:
        self.opened: list[str] = []
        self._last = last
        self._end = end or DeviceError(f"the camera stopped after {last} frames")

    def __call__(self, camera: Input) -> Iterator[Frame]:
        self.opened.append(camera.address)
        return self._frames(camera.address)

    def _frames(self, device: str) -> Iterator[Frame]:
        for index in range(self._last):
            pixels = np.full((8, 12, 3), (0, index, 0), np.uint8)
            yield Frame(pixels, device, index, 5 * 10**9 + index * 40_000_000)
        raise self._end


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> Camera:
    camera = Camera()
    monkeypatch.setattr(video_module, "camera_frames", camera)
    return camera


def test_a_camera_is_recorded_for_the_time_asked_at_two_frames_a_second(
    camera: Camera, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    paths = record_cameras([find_input("camera:0")], tmp_path / "run" / "frames", 3)
    assert paths == sorted((tmp_path / "run" / "frames").iterdir())
    # every 12.5th frame of 25 a second, the first that comes after it is due
    assert [read_image(path).pixels[0, 0, 1] for path in paths] == [0, 13, 25, 38, 50, 63, 75]
    assert camera.opened == ["0"]
    assert "recording camera:0 for 3 s" in caplog.text


def test_a_recording_that_is_there_is_used_and_no_camera_opened(camera: Camera, tmp_path: Path) -> None:
    first = record_cameras(
        [find_input("camera:0"), find_input("camera:/dev/video2"), find_input("rtsp://host/1")],
        tmp_path / "frames",
        0.5,
    )
    assert camera.opened == ["0", "/dev/video2", "rtsp://host/1"]
    assert len(first) == 6
    camera.opened.clear()
    assert record_cameras([find_input("camera:0")], tmp_path / "frames", 0.5) == first
    assert camera.opened == []


@pytest.mark.parametrize(("stops", "end"), [(0, None), (30, None), (30, KeyboardInterrupt())])
def test_a_camera_that_stops_and_ctrl_c_leave_nothing(
    stops: int, end: BaseException | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_module, "camera_frames", Camera(stops, end))
    with pytest.raises((DeviceError, KeyboardInterrupt)):
        record_cameras([find_input("camera:0")], tmp_path / "frames", 3)
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_no_camera_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="camera:0"):
        record_cameras([find_input("camera:video.mp4")], tmp_path / "frames", 3)


@pytest.mark.usefixtures("camera")
def test_a_folder_that_cannot_be_written_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        record_cameras([find_input("camera:0")], tmp_path / "file" / "frames", 3)
