"""frames: the one way to frames, whatever they come from."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from pathlib import Path

from ..errors import UserError
from ..frame import Frame, Frames
from ..images.image import IMAGE_SUFFIXES, read_image
from ..system.signals import Stop
from .capture import CameraSettings, find_address
from .devices import cameras_found
from .files import find_files
from .inputs import VIDEO_SUFFIXES, Input, find_input
from .live import LiveCamera
from .video import video_frames


def frames(
    source: str | Path | int, settings: CameraSettings | None = None, *, stop: Stop | None = None
) -> Frames:
    """Open the frames of any input.

    - A camera: 0 (the first), /dev/video2, rtsp://…, http://…/stream.mjpg, csi://0 (a Jetson's), or a
      GStreamer pipeline. The newest frame each time; opened again for ever when it is lost.
    - A video: every frame, with its time.
    - An image file: one frame. A folder (with its subfolders) or a glob: its images and videos, in
      natural order.

    The source is opened here, and released when the iterator is closed or used up.

    Args:
        source: as above.
        settings: what to ask of a camera.
        stop: ends a camera's frames, also while it is lost; None: they go on until closed.

    Raises:
        UserError: there is no such source, or a setting that it cannot take.
        ImageError: a file is no image, or no video that can be decoded; for a folder or a glob, raised
            when its turn comes.
        DeviceError: the camera does not open, or gives no frame.
        EnvironmentFault: the OpenCV that is installed cannot open such a source.
    """
    found = _find(source)
    if found.is_camera:
        return LiveCamera(find_address(found, settings or CameraSettings()), stop=stop)
    if settings not in (None, CameraSettings()):
        raise UserError(
            f"--width, --height, --fps and --fourcc are for cameras, and {found.shown_name} is none"
        )
    if found.kind == "video" and found.path is not None:
        return video_frames(found.path)
    return _of_files(find_files([found], IMAGE_SUFFIXES + VIDEO_SUFFIXES, "images and videos"))


def camera_frames(camera: str | Path | int | Input) -> Frames:
    """Open the frames of a camera until it stops, which is an error here, or of a video until it ends.

    Raises:
        DeviceError: the camera does not open, gives no frame or stops.
        ImageError: a file that is no video which can be decoded.
        UserError: there is no such file.
    """
    found = _find(camera)
    if found.is_camera:
        return LiveCamera(find_address(found, CameraSettings()), reconnect=False)
    if found.kind not in ("video", "image") or found.path is None:
        raise UserError(f"{found.shown_name} is no video file or camera; {cameras_found()}")
    return video_frames(found.path)


def _find(source: str | Path | int | Input) -> Input:
    try:
        return find_input(source)
    except UserError as error:
        raise UserError(f"{error}; {cameras_found()}") from error


def _of_files(paths: Sequence[Path]) -> Generator[Frame, None, None]:
    index = 0
    for path in paths:
        for frame in video_frames(path) if find_input(path).kind == "video" else _of_image(path):
            yield Frame(frame.pixels, frame.source, index, frame.timestamp_ns, frame.captured_ns)
            index += 1


def _of_image(path: Path) -> list[Frame]:
    started_ns = time.monotonic_ns()
    return [Frame(read_image(path).pixels, str(path), 0, 0, started_ns)]
