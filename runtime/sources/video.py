"""The frames of a video: every one, with its time."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from ..errors import ImageError, UserError
from ..frame import Frame
from ..system.opencv import load_opencv, quiet

_FAILURES_OF_AN_END = 10  # in a row; fewer are damaged frames


def video_frames(path: str | Path) -> Generator[Frame, None, None]:
    """The frames of a video, each of them, in order; turned upright as the video says.

    The video is opened here, and closed when the iterator is closed or used up.

    Raises:
        UserError: there is no such file.
        ImageError: it is no video that OpenCV can decode.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: there is no such video")
    cv2 = load_opencv()
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # else a line for every damaged frame
    with quiet():
        capture = cv2.VideoCapture(str(path))
        is_video = capture.isOpened() and _grab(capture) is not None
    if not is_video:
        capture.release()
        raise ImageError(f"{path} is not a video that OpenCV can decode")
    return _frames(capture, str(path))


def _frames(capture: Any, source: str) -> Generator[Frame, None, None]:
    """The frames of a capture that has grabbed its first."""
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
    """Go to the next frame: how many damaged ones were passed over, None at the end."""
    for failures in range(_FAILURES_OF_AN_END):
        if capture.grab():
            return failures
    return None
