"""Cameras, with a stand-in for OpenCV's captures."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import closing
from itertools import pairwise

import cv2
import numpy as np
import pytest
from n2b.runtime.errors import DeviceError, EnvironmentFault, UserError
from n2b.runtime.sources import (
    Camera,
    CameraSettings,
    camera_frames,
    capture,
    devices,
    frames,
    list_cameras,
    live,
)
from n2b.runtime.stopping import Stop

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
        return _Capture(self, number, self.scripts[min(number, len(self.scripts) - 1)])


class _Capture:
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


@pytest.fixture
def cameras(monkeypatch):
    """cameras(*scripts) → the FakeCameras that OpenCV opens from then on; attempts follow fast."""
    monkeypatch.setattr(live, "_FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(live, "_LONGEST_DELAY_S", 0.02)

    def install(*scripts):
        fakes = FakeCameras(*scripts)
        monkeypatch.setattr(cv2, "VideoCapture", fakes)
        return fakes

    before = set(threading.enumerate())
    yield install
    assert set(threading.enumerate()) <= before, "a camera's thread outlives it"


def take(source, count):
    return [next(source) for _ in range(count)]


def test_frames_come_in_rgb_with_the_clock(cameras):
    fakes = cameras([GOOD] * 1000)
    with closing(frames("7")) as source:
        first, second = take(source, 2)
    assert first.pixels.shape == (4, 6, 3) and first.pixels[0, 0, 0] == 200
    assert (first.source, first.connection) == ("7", 0)
    assert 0 < first.timestamp_ns < second.timestamp_ns <= time.monotonic_ns()
    assert fakes.opened == [(7, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)]
    assert fakes.released == 1


def test_a_slow_user_gets_the_newest_frame_and_the_dropped_ones_are_counted(cameras):
    cameras([GOOD] * 1000)
    with closing(frames(0)) as source:
        start = next(source)
        time.sleep(0.1)
        late = next(source)
    played = int(late.pixels[0, 0, 1]) - int(start.pixels[0, 0, 1])
    assert late.index - start.index == played > 5
    assert time.monotonic_ns() - late.captured_ns < 5e9


def test_what_came_before_anyone_asked_is_not_counted(cameras):
    cameras([CORRUPT, CORRUPT, *[GOOD] * 1000])
    with closing(frames(0)) as source:
        time.sleep(0.05)
        first = next(source)
        assert (first.index, first.corrupt) == (0, 0)
        assert next(source).index >= 1


def test_frames_that_cannot_be_decoded_are_passed_over_and_counted(cameras):
    cameras([GOOD] * 20 + [CORRUPT, NOTHING, CORRUPT] + [GOOD] * 3 + [NOTHING] + [GOOD] * 1000)
    with closing(frames(0)) as source:
        seen = [next(source)]
        while seen[-1].corrupt < 4:
            seen.append(next(source))
    assert seen[0].corrupt == 0
    played = int(seen[-1].pixels[0, 0, 1]) - int(seen[0].pixels[0, 0, 1])
    assert played == seen[-1].index - seen[0].index + 4
    assert seen[-1].connection == 0


def test_a_lost_camera_is_opened_again_until_it_is_back(cameras, capfd):
    fakes = cameras([GOOD] * 30, None, [], None, [GOOD] * 1000)
    fakes.size_hw = [(4, 6), (4, 6), (4, 6), (4, 6), (8, 10)]
    seen = []
    with closing(frames(0)) as source:
        while not seen or seen[-1].connection == 0:
            seen.append(next(source))
        again = next(source)
    assert [frame.connection for frame in seen[:-1]] == [0] * (len(seen) - 1)
    assert (seen[-1].connection, again.connection) == (1, 1)
    assert seen[-1].pixels.shape == (8, 10, 3)
    assert all(a.index < b.index for a, b in pairwise([*seen, again]))
    assert len(fakes.opened) == 5 and fakes.released == 5
    lost, back = capfd.readouterr().err.splitlines()
    assert lost == "warning: camera 0 is lost; trying again until it is back"
    assert back.startswith("camera 0 is back after ")


def test_attempts_follow_ever_more_slowly(cameras, monkeypatch):
    waits = []
    monkeypatch.setattr(live, "_FIRST_DELAY_S", 0.001)
    monkeypatch.setattr(live, "_LONGEST_DELAY_S", 0.004)
    cameras([GOOD], None, None, None, None, [GOOD] * 1000)
    wait = threading.Event.wait

    def noted(event, seconds=None):
        if threading.current_thread().name.startswith("camera"):
            waits.append(seconds)
        return wait(event, seconds)

    monkeypatch.setattr(threading.Event, "wait", noted)
    with closing(frames(0)) as source:
        while next(source).connection == 0:
            pass
    assert waits == [0.001, 0.002, 0.004, 0.004, 0.004]


def test_a_lost_camera_does_not_hold_up_a_stop(cameras):
    cameras([GOOD], None)
    stop = Stop()
    with closing(frames(0, stop=stop)) as source:
        next(source)
        asker = threading.Timer(0.1, stop.request)
        asker.start()
        assert list(source) == []
        asker.join()


def test_closing_wakes_who_waits_for_a_frame(cameras):
    cameras([GOOD], None)
    source = frames(0)
    next(source)
    closer = threading.Timer(0.1, source.close)
    closer.start()
    assert list(source) == []
    closer.join()


def test_without_reconnecting_a_loss_is_an_error(cameras):
    cameras([GOOD] * 5)
    with closing(camera_frames(7)) as source, pytest.raises(DeviceError, match="camera 7 stopped after 5 fr"):
        while True:
            next(source)


@pytest.mark.parametrize("script", [None, [], [NOTHING] * 50, [CORRUPT] * 50])
def test_a_camera_that_gives_nothing_is_refused_at_once(cameras, script):
    fakes = cameras(script)
    with pytest.raises(DeviceError, match="camera 7 does not open or gives no frame"):
        frames(7)
    assert len(fakes.opened) == 1


def test_a_camera_that_hangs_does_not_hold_up_the_end(cameras, monkeypatch, capfd):
    released = threading.Event()
    cameras([GOOD] * 3)
    monkeypatch.setattr(live, "_FAREWELL_S", 0.05)
    monkeypatch.setattr(_Capture, "release", lambda _: released.wait(10))
    source = frames(0)
    time.sleep(0.05)
    source.close()
    assert "camera 0 does not answer; it is let go when the program ends" in capfd.readouterr().err
    released.set()
    for thread in threading.enumerate():
        if thread.name == "camera 0":
            thread.join(10)


def test_a_camera_that_never_opens_is_given_up(cameras, monkeypatch):
    released = threading.Event()
    fakes = cameras(None)
    monkeypatch.setattr(live, "_MOST_TO_OPEN_S", 0.05)
    monkeypatch.setattr(live, "_FAREWELL_S", 0.05)
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: released.wait(10) and fakes(*_))
    with pytest.raises(DeviceError, match=r"camera 7 does not open .*waited 0\.05 s"):
        frames(7)
    released.set()
    for thread in threading.enumerate():
        if thread.name == "camera 7":
            thread.join(10)


def test_what_is_asked_of_a_device_is_set_format_first(cameras):
    fakes = cameras([GOOD] * 100)
    fakes.given = {cv2.CAP_PROP_FPS: 30.0, cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"MJPG")}
    settings = CameraSettings(width=6, height=4, fps=30, fourcc="MJPG")
    frames("/dev/video3", settings).close()
    assert fakes.opened[0][0] == "/dev/video3"
    assert list(fakes.set) == [
        cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS,
    ]  # fmt: skip
    assert list(fakes.set.values())[1:] == [6, 4, 30]


def test_what_a_device_gives_otherwise_is_said(cameras, capfd):
    fakes = cameras([GOOD] * 100)
    fakes.given = {cv2.CAP_PROP_FPS: 15.0, cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"YUYV")}
    frames(0, CameraSettings(width=800, fps=30, fourcc="MJPG")).close()
    assert capfd.readouterr().err == (
        "warning: camera 0 gives 6×4 px, not 800×4, 15 frames a second, not 30, the format YUYV, not MJPG\n"
    )


def test_a_network_camera_has_limits_of_time_and_its_password_is_not_shown(cameras):
    fakes = cameras([GOOD] * 100)
    with closing(frames("rtsp://me:secret@host/1")) as source:
        assert next(source).source == "rtsp://…@host/1"
    target, backend, limits = fakes.opened[0]
    assert (target, backend) == ("rtsp://me:secret@host/1", cv2.CAP_FFMPEG)
    assert limits[::2] == [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC]
    cameras(None)
    with pytest.raises(DeviceError) as caught:
        frames("rtsp://me:secret@host/1")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "source, settings, words",
    [
        ("rtsp://host/1", CameraSettings(width=640), "are for cameras at this machine"),
        ("videotestsrc ! appsink", CameraSettings(fps=3), "write that of a pipeline into it"),
        (0, CameraSettings(fourcc="MJPEG"), "four letters"),
        ("csi://a", CameraSettings(), "the first is csi://0"),
        ("csi://0", CameraSettings(fourcc="YUYV"), "no --fourcc"),
        ("picture.png", CameraSettings(fps=3), "picture.png is none"),
        ("nothing.mp4", None, "no such file or camera"),
    ],
)
def test_what_a_source_cannot_take_is_refused(source, settings, words, monkeypatch):
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "    GStreamer:      YES (1.22.0)")
    with pytest.raises(UserError, match=words):
        frames(source, settings)


def test_a_jetsons_camera_is_a_pipeline_that_keeps_the_newest_frame(cameras, monkeypatch):
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "    GStreamer:      YES (1.22.0)")
    fakes = cameras([GOOD] * 100)
    frames("csi://1", CameraSettings(width=1280, height=720, fps=59.94)).close()
    pipeline, backend = fakes.opened[0]
    assert backend == cv2.CAP_GSTREAMER
    assert pipeline.startswith("nvarguscamerasrc sensor-id=1 ! ")
    assert "width=1280,height=720,framerate=59940/1000" in pipeline
    assert pipeline.endswith("format=BGR ! appsink drop=true max-buffers=1 sync=false")


def test_a_pipeline_without_an_end_gets_one_for_opencv(cameras, monkeypatch):
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "    GStreamer:      YES (1.22.0)")
    fakes = cameras([GOOD] * 100)
    frames("videotestsrc ! tee").close()
    frames("videotestsrc ! appsink").close()
    assert [target for target, _ in fakes.opened] == [
        f"videotestsrc ! tee ! {capture._TO_OPENCV}",
        "videotestsrc ! appsink",
    ]


@pytest.mark.parametrize("source", ["csi://0", "videotestsrc ! appsink"])
def test_an_opencv_without_gstreamer_says_how_to_get_one(source, monkeypatch):
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "    GStreamer:      NO")
    with pytest.raises(EnvironmentFault, match=r"OpenCV with GStreamer.*apt install python3-opencv"):
        frames(source)


def _fake_machine(root, **cameras):
    for device, name in cameras.items():
        (root / "dev").mkdir(exist_ok=True)
        (root / "dev" / device).touch()
        if name is not None:
            folder = root / "sys/class/video4linux" / device
            folder.mkdir(parents=True)
            (folder / "name").write_text(name + "\n")


def test_cameras_are_listed_by_device_and_name(tmp_path):
    _fake_machine(tmp_path, video10="capture card", video2="USB camera: ü", video0=None)
    assert list_cameras(tmp_path) == [
        Camera("/dev/video0", "unnamed"),
        Camera("/dev/video2", "USB camera: ü"),
        Camera("/dev/video10", "capture card"),
    ]
    assert list_cameras(tmp_path / "empty") == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists its cameras")
@pytest.mark.parametrize("found, words", [
    ([], "no video devices found"),
    ([Camera("/dev/video4", "a camera")], r"video devices found: /dev/video4 \(a camera\)"),
])  # fmt: skip
def test_a_camera_that_is_not_there_names_those_that_are(monkeypatch, found, words):
    monkeypatch.setattr(devices, "list_cameras", lambda: found)
    with pytest.raises(DeviceError, match=words) as caught:
        camera_frames(4711)
    assert "camera 4711 does not open" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 1


def test_opencv_prints_nothing_about_a_camera_that_is_not_there():
    program = """
from n2b.runtime.errors import DeviceError
from n2b.runtime.sources import camera_frames
try:
    camera_frames(4711)
except DeviceError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (run.stderr, run.stdout.count("\n")) == ("", 1)
