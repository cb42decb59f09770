"""Open a camera with OpenCV: its address, its settings, its timeouts."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import DeviceError, EnvironmentFault, UserError
from ..passwords import hide_passwords
from ..system.opencv import load_opencv, quiet
from .devices import cameras_found
from .inputs import Input

OPEN_TIMEOUT_MS = 5000
READ_TIMEOUT_MS = 5000  # without a frame; after that a network camera is lost

_TO_OPENCV = "videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false"
_CSI_HW = 1080, 1920  # supported by the drivers of all Jetson cameras
_CSI_FPS = 30


@dataclass(frozen=True)
class CameraSettings:
    """The requested settings of a camera; None: the camera's default.

    Attributes:
        width, height: of a frame, in px.
        fps: frames per second.
        fourcc: the four letters of a pixel format, such as MJPG or YUYV.
    """

    width: int | None = None
    height: int | None = None
    fps: float | None = None
    fourcc: str | None = None


@dataclass(frozen=True)
class Address:
    """The address of a camera for OpenCV."""

    name: str  # for messages, without a password
    target: int | str  # a number, a device, a URL or a GStreamer pipeline
    kind: Literal["device", "network", "gstreamer"]  # selects OpenCV's backend
    settings: CameraSettings = CameraSettings()  # requested settings of a device


def find_address(camera: Input, settings: CameraSettings) -> Address:
    """Return the address of a camera for OpenCV.

    Raises:
        UserError: the camera does not take a setting, or a csi:// address has no number.
        EnvironmentFault: the camera needs GStreamer, and the installed OpenCV has none.
    """
    fourcc = settings.fourcc
    if fourcc is not None and (len(fourcc) != 4 or not fourcc.isascii()):
        raise UserError(f"--fourcc takes four letters, such as MJPG or YUYV, not '{fourcc}'")
    address = camera.address
    if camera.kind == "csi":
        _need_gstreamer(address)
        return Address(address, csi_pipeline(address, settings), "gstreamer")
    if camera.kind in ("network", "pipeline"):
        if settings != CameraSettings():
            raise UserError(
                "--width, --height, --fps and --fourcc are for local cameras; set the size of a network "
                "camera on its own page, and that of a pipeline in the pipeline"
            )
        if camera.kind == "network":
            return Address(hide_passwords(address, is_address=True), address, "network")
        _need_gstreamer("a pipeline")
        pipeline = address if "appsink" in address else f"{address} ! {_TO_OPENCV}"
        return Address(hide_passwords(address, is_address=True), pipeline, "gstreamer")
    return Address(address, int(address) if address.isdecimal() else address, "device", settings)


def csi_pipeline(camera: str, settings: CameraSettings) -> str:
    """Return the GStreamer pipeline of a Jetson's CSI camera; csi://0 is the first."""
    number = camera.removeprefix("csi://") or "0"
    if not number.isdecimal():
        raise UserError(f"{camera} is not a CSI camera; the first is csi://0")
    if settings.fourcc is not None:
        raise UserError("a CSI camera has no --fourcc: its image processor sets the format")
    height, width = settings.height or _CSI_HW[0], settings.width or _CSI_HW[1]
    rate = f"{round((settings.fps or _CSI_FPS) * 1000)}/1000"
    return (
        f"nvarguscamerasrc sensor-id={number} ! "
        f"video/x-raw(memory:NVMM),width={width},height={height},framerate={rate} ! "
        f"nvvidconv ! video/x-raw,format=BGRx ! {_TO_OPENCV}"
    )


def open_capture(address: Address) -> Any:
    """Return an open cv2.VideoCapture; it may still yield no frame.

    Raises:
        DeviceError: the camera does not open.
    """
    cv2 = load_opencv()
    # FFmpeg prints a line for every damaged frame otherwise; it reads this at its first use.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    with quiet():
        if address.kind == "network":
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS]
            limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS]
            capture = cv2.VideoCapture(address.target, cv2.CAP_FFMPEG, limits)
        elif address.kind == "gstreamer":
            capture = cv2.VideoCapture(address.target, cv2.CAP_GSTREAMER)
        else:
            capture = cv2.VideoCapture(
                address.target, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
            )
            _apply(capture, address.settings)
    if not capture.isOpened():
        capture.release()
        raise DeviceError(no_camera(address))
    return capture


def no_camera(address: Address) -> str:
    """Return the error message for a camera that does not open or yields no frame."""
    hint = (
        cameras_found() if address.kind == "device" else "check that it is on and that the address is right"
    )
    if address.kind == "gstreamer":
        hint = "try its pipeline with gst-launch-1.0"
    return f"camera {address.name} does not open or yields no frame; {hint}"


def _apply(capture: Any, settings: CameraSettings) -> None:
    """Request a device's settings: the format first, since it determines the available sizes."""
    cv2 = load_opencv()
    if settings.fourcc is not None:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*settings.fourcc))
    for setting, value in (
        (cv2.CAP_PROP_FRAME_WIDTH, settings.width),
        (cv2.CAP_PROP_FRAME_HEIGHT, settings.height),
        (cv2.CAP_PROP_FPS, settings.fps),
    ):
        if value is not None:
            capture.set(setting, value)


def _need_gstreamer(what: str) -> None:
    information = load_opencv().getBuildInformation()
    if not re.search(r"GStreamer:\s+YES", information):
        raise EnvironmentFault(
            f"{what} needs an OpenCV with GStreamer, which pip's lacks: use JetPack's on a Jetson, "
            "apt install python3-opencv on Debian and Ubuntu, in an environment created with "
            "python3 -m venv --system-site-packages and without opencv-python"
        )


def differences(settings: CameraSettings, capture: Any, height: int, width: int) -> str | None:
    """Describe the settings of a device that differ from the requested ones; None: all are as requested."""
    cv2 = load_opencv()
    actual: list[str] = []
    requested_hw = settings.height or height, settings.width or width
    if requested_hw != (height, width):
        actual.append(f"{width}×{height} px, not {requested_hw[1]}×{requested_hw[0]}")
    fps = capture.get(cv2.CAP_PROP_FPS)
    if settings.fps is not None and fps > 0 and abs(fps - settings.fps) > 0.5:
        actual.append(f"{fps:g} fps, not {settings.fps:g}")
    if settings.fourcc is not None:
        letters = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(8, "little", signed=True)[:4]
        if letters != settings.fourcc.encode():
            actual.append(f"the format {letters.decode('ascii', 'replace')}, not {settings.fourcc}")
    return ", ".join(actual) or None
