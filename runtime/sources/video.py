"""Read the frames of a video file: by PyAV, or by OpenCV where that is not installed."""

from __future__ import annotations

import logging
from collections.abc import Generator
from pathlib import Path

from ..errors import UserError
from ..frame import Frame
from ..system.packages import is_installed
from .video_opencv import opencv_video_frames

_logger = logging.getLogger(__name__)


def video_frames(path: str | Path, *, deep: bool = False) -> Generator[Frame, None, None]:
    """Yield every frame of a video in order, upright; warnings name what is lost or damaged.

    Args:
        deep: yield uint16 if the video has more than 8 bits per channel, and PyAV reads it.

    Raises:
        UserError: the file does not exist.
        ImageError: it is not a video that can be decoded.
    """
    path = _existing(path)
    if not is_installed("av"):
        return opencv_video_frames(path)
    from ..video.description import describe_video
    from .video_pyav import exact_video_frames

    bits = describe_video(path).bits
    if bits > 8 and not deep:
        _logger.warning(f"{path}: its {bits} bits per channel become 8")
    return exact_video_frames(path, deep=deep)


def count_frames(path: str | Path) -> int:
    """Return the number of frames of a video, some of which may be damaged.

    Raises:
        As `video_frames`.
    """
    path = _existing(path)
    if not is_installed("av"):
        return sum(1 for _ in opencv_video_frames(path))
    from ..video.container import open_video, video_stream
    from ..video.description import decoding_errors

    with decoding_errors(path), open_video(path) as video:
        packets = video.demux(video_stream(video, path))
        return sum(1 for packet in packets if packet.size and not packet.is_discard)


def bits_per_channel(path: str | Path) -> int:
    """Return the bits per channel that `video_frames` can yield.

    Raises:
        As `video_frames`.
    """
    from ..video.description import describe_video

    return describe_video(_existing(path)).bits if is_installed("av") else 8


def _existing(path: str | Path) -> Path:
    if not Path(path).is_file():
        raise UserError(f"{path}: there is no such video")
    return Path(path)
