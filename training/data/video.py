"""Take frames spread over a video, and record cameras."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from ...runtime import sources
from ...runtime.errors import UserError
from ...runtime.images.image import Image, write_image
from ...runtime.passwords import HIDDEN
from ...runtime.sources import Input, camera_frames, count_frames, find_images
from ..spacing import evenly_spaced

_logger = logging.getLogger(__name__)

MAX_VIDEO_FRAMES = 200  # more show the same scenes again
CAMERA_FRAMES_PER_S = 2  # at most: neighbours show the same scene, and PNG files take time to write


def video_frames(path: str | Path, max_frames: int = MAX_VIDEO_FRAMES) -> Iterator[tuple[int, np.ndarray]]:
    """Yield frames spread evenly over a video, at most `max_frames`.

    All frames are decoded, so that damage is noticed wherever it is.

    Yields:
        The frame's number from 0, and its pixels, (H, W, 3) RGB, uint8, or uint16 if the video has more bits.

    Raises:
        ImageError: it cannot be decoded as a video.
        UserError: the file does not exist.
    """
    wanted = set(evenly_spaced(count_frames(path), max_frames))
    with closing(sources.video_frames(path, deep=True)) as frames:
        for frame in frames:
            if frame.index in wanted:
                yield frame.index, frame.pixels


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
