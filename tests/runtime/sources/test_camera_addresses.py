"""Addresses and settings of cameras."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

import cv2
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
)

from ..fakes.cameras import GOOD


def test_settings_of_a_device_are_set_format_first(cameras):
    fakes = cameras([GOOD] * 100)
    fakes.given = {cv2.CAP_PROP_FPS: 30.0, cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"MJPG")}
    settings = CameraSettings(width=6, height=4, fps=30, fourcc="MJPG")
    frames("/dev/video3", settings).close()
    assert fakes.opened[0][0] == "/dev/video3"
    assert list(fakes.set) == [
        cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS,
        cv2.CAP_PROP_CONVERT_RGB,  # MJPG frames are asked for undecoded; this one decodes them itself
    ]  # fmt: skip
    assert list(fakes.set.values())[1:] == [6, 4, 30, 1]


def test_settings_that_a_device_did_not_accept_are_reported(cameras, caplog):
    fakes = cameras([GOOD] * 100)
    fakes.given = {cv2.CAP_PROP_FPS: 15.0, cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"YUYV")}
    frames(0, CameraSettings(width=800, fps=30, fourcc="MJPG")).close()
    assert caplog.messages == ["camera 0 uses 6×4 px, not 800×4, 15 fps, not 30, the format YUYV, not MJPG"]


def test_a_network_camera_has_timeouts_and_its_password_is_hidden(cameras):
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
        ("rtsp://host/1", CameraSettings(width=640), "are for local cameras"),
        ("videotestsrc ! appsink", CameraSettings(fps=3), "that of a pipeline in the pipeline"),
        (0, CameraSettings(fourcc="MJPEG"), "four letters"),
        ("csi://a", CameraSettings(), "the first is csi://0"),
        ("csi://0", CameraSettings(fourcc="YUYV"), "no --fourcc"),
        (".", CameraSettings(fps=3), r"for cameras, and \. is none"),
        ("nothing.mp4", None, "there is no such file or folder"),
    ],
)
def test_settings_that_a_source_cannot_take_are_refused(source, settings, words, monkeypatch):
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


def test_a_pipeline_without_an_appsink_gets_one(cameras, monkeypatch):
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "    GStreamer:      YES (1.22.0)")
    fakes = cameras([GOOD] * 100)
    frames("videotestsrc ! tee").close()
    frames("videotestsrc ! appsink").close()
    assert [target for target, _ in fakes.opened] == [
        f"videotestsrc ! tee ! {capture._TO_OPENCV}",
        "videotestsrc ! appsink",
    ]


@pytest.mark.parametrize("source", ["csi://0", "videotestsrc ! appsink"])
def test_the_error_for_a_missing_gstreamer_says_how_to_install_it(source, monkeypatch):
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
def test_the_error_for_a_missing_camera_lists_the_connected_ones(monkeypatch, found, words):
    monkeypatch.setattr(devices, "list_cameras", lambda: found)
    with pytest.raises(DeviceError, match=words) as caught:
        camera_frames(4711)
    assert "camera 4711 does not open" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 1


def test_opencv_prints_nothing_about_a_missing_camera():
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
