"""Read every frame of a video with exact times and its own colour matrix, by PyAV."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from pathlib import Path

from ..errors import ImageError, UserError
from ..frame import Frame
from ..system.packages import load_av
from ..video.container import open_video
from ..video.convert import ToRGB
from ..video.decoder import VideoDecoder
from ..video.description import decoding_errors
from ..video.orientation import upright

_logger = logging.getLogger(__name__)


def exact_video_frames(path: Path, *, deep: bool = False) -> Generator[Frame, None, None]:
    """Yield every frame of a video in order; needs `noise2blur[video]`.

    OpenCV 4 converts every video by the matrix of ITU-R BT.601, which shifts the colours of most videos, and
    its conversion to RGB darkens them by a level.

    A warning is logged of damaged frames that the decoder patched up, of a file that is cut short, of
    transparency, and of times that begin again, as in joined files; here they go on growing.

    Args:
        deep: yield uint16 if the video has more than 8 bits per channel.

    Yields:
        Frames of (H, W, 3) uint8 or uint16, upright; `timestamp_ns` is 0 at the start of the video stream.

    Raises:
        UserError: the file does not exist.
        ImageError: it is not a video that FFmpeg can decode.
        MissingPackageError: av is not installed.
    """
    av = load_av()
    if not path.is_file():
        raise UserError(f"{path}: there is no such video")
    index, is_opaque = 0, True
    to_rgb = ToRGB(av, deep=deep, source=str(path))
    with decoding_errors(path), open_video(path) as video:
        decoder = VideoDecoder(video, path)
        if decoder.has_hidden_alpha:
            is_opaque = _warn_of_alpha(path)
        for decoded, time_s in decoder.frames():
            pixels, is_transparent = to_rgb(decoded)
            if is_transparent and is_opaque:
                is_opaque = _warn_of_alpha(path)
            pixels, video_ns = upright(pixels, decoded), round(time_s * 10**9)
            yield Frame(pixels, str(path), index, video_ns, time.monotonic_ns(), corrupt=decoder.corrupt)
            index += 1
        if index == 0:
            raise ImageError(f"{path} is not a video that FFmpeg can decode: it has no frames")
        for problem in decoder.problems():
            _logger.warning(f"{path}: {problem}")


def _warn_of_alpha(path: Path) -> bool:
    _logger.warning(
        f"{path}: its transparency is left out, which H.264 cannot hold; to keep it, denoise the frames as "
        "PNG images"
    )
    return False
