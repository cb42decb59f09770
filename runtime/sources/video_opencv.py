"""Read every frame of a video with its time, by OpenCV, where PyAV is not installed."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from ..errors import ImageError
from ..frame import Frame
from ..system.opencv import load_opencv, quiet
from ..system.packages import install_hint

_logger = logging.getLogger(__name__)

_MAX_FAILURES = 10  # consecutive frames; fewer are damaged frames, more the end


def opencv_video_frames(path: Path) -> Generator[Frame, None, None]:
    """Yield every frame of a video in order, rotated as its metadata says.

    This opens the video; it is closed when the iterator is closed or exhausted. OpenCV takes the colours of
    every video for those of ITU-R BT.601, and frames for whole that its decoder patched up.

    Raises:
        ImageError: it is not a video that OpenCV can decode.
    """
    cv2 = load_opencv()
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # otherwise a line for every damaged frame
    with quiet():
        capture = cv2.VideoCapture(str(path))
        is_video = capture.isOpened() and _grab(capture) is not None
    if not is_video:
        capture.release()
        raise ImageError(f"{path} is not a video that OpenCV can decode")
    if int(capture.get(cv2.CAP_PROP_FOURCC)) != cv2.VideoWriter.fourcc(*"MJPG"):  # which has these colours
        _logger.warning(
            f"{path} is read by OpenCV, which shifts the colours of most videos and reports no damage; PyAV "
            f"does better: {install_hint('av', 'video')}"
        )
    return _frames(capture, str(path))


def _frames(capture: Any, source: str) -> Generator[Frame, None, None]:
    """Yield the frames of a capture whose first frame is grabbed."""
    cv2 = load_opencv()
    index = corrupt = 0
    try:
        failures: int | None = 0
        while failures is not None:
            video_ns = round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
            corrupt += failures
            is_whole, decoded = capture.retrieve()
            if is_whole:
                rgb = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB) if decoded.ndim == 3 else decoded[:, :, None]
                yield Frame(rgb, source, index, video_ns, time.monotonic_ns(), corrupt=corrupt)
                index += 1
            else:
                corrupt += 1
            failures = _grab(capture)
    finally:
        capture.release()


def _grab(capture: Any) -> int | None:
    """Grab the next frame; return the number of damaged frames skipped, None at the end."""
    for failures in range(_MAX_FAILURES):
        if capture.grab():
            return failures
    return None
