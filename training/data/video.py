"""Take frames spread over a video, and record cameras."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from ...runtime.errors import UserError
from ...runtime.images.image import Image, write_image
from ...runtime.passwords import HIDDEN
from ...runtime.sources import Input, camera_frames, find_images
from ...runtime.system.opencv import load_opencv, quiet
from ..spacing import evenly_spaced

_logger = logging.getLogger(__name__)

MAX_VIDEO_FRAMES = 200  # more show the same scenes again
CAMERA_FRAMES_PER_S = 2  # at most: neighbours show the same scene, and PNG files take time to write
_MAX_PLAUSIBLE = 10**8  # frame count in a header


def video_frames(path: str | Path, max_frames: int = MAX_VIDEO_FRAMES) -> Iterator[tuple[int, np.ndarray]]:
    """Yield frames spread evenly over a video, at most `max_frames`.

    Yields:
        The frame's number from 0, and its pixels, uint8 (H, W, C), C = 1 or 3 (RGB).

    Raises:
        ImageError: OpenCV cannot decode it as a video.
        UserError: the file does not exist.
    """
    count = _count_frames(path)
    wanted = set(evenly_spaced(count, max_frames))
    with closing(camera_frames(str(path))) as frames:
        for frame in frames:
            if frame.index in wanted:
                yield frame.index, frame.pixels
            if frame.index >= max(wanted):
                return


def _count_frames(path: str | Path) -> int:
    """Return the frame count in the header if it is plausible, else the number of decoded frames."""
    cv2 = load_opencv()
    with quiet():
        capture = cv2.VideoCapture(str(path))
        claimed = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        capture.release()
    if 1 <= claimed < _MAX_PLAUSIBLE:
        return int(claimed)
    return sum(1 for _ in camera_frames(str(path)))


def record_cameras(cameras: Sequence[Input], folder: Path, seconds: float) -> list[Path]:
    """Record each camera in turn, `seconds` each, at a few frames per second; return the PNG files in order.

    The folder appears once all are recorded; if it exists, it is used and no camera is opened.

    Raises:
        DeviceError: a camera does not open, or stops.
        UserError: the folder cannot be written.
    """
    if not folder.is_dir():
        if hidden := [camera.shown_name for camera in cameras if HIDDEN in camera.address]:
            raise UserError(
                f"{hidden[0]} is to be recorded, and its password is saved nowhere; give its complete "
                "address again with --noisy"
            )
        unfinished = folder.with_name(f".{folder.name}.part")
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            for number, camera in enumerate(cameras):
                _record(camera, unfinished, f"{number}-", seconds)
            unfinished.rename(folder)
        except OSError as error:
            raise UserError(f"cannot write {folder}: {error.strerror}; choose another --out") from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return find_images([folder])


def _record(camera: Input, folder: Path, prefix: str, seconds: float) -> None:
    _logger.info(f"recording {camera.shown_name} for {seconds:g} s")
    start_ns = due_ns = None
    count = 0
    with closing(camera_frames(camera)) as frames:
        for frame in frames:
            if start_ns is None or due_ns is None:
                start_ns = due_ns = frame.timestamp_ns
            if frame.timestamp_ns >= due_ns:
                write_image(folder / f"{prefix}{count:05d}.png", Image(frame.pixels))
                count += 1
                due_ns += round(1e9 / CAMERA_FRAMES_PER_S)
            if frame.timestamp_ns - start_ns >= seconds * 1e9:
                return
