"""Read every frame of a video with exact times and its own colour matrix, by PyAV."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError, UserError, shorten
from ..frame import Frame
from ..system.pyav import load_av, matrix_of


def exact_video_frames(path: Path) -> Generator[Frame, None, None]:
    """Yield every frame of a video in order, for a video that is written again; needs `noise2blur[video]`.

    OpenCV 4 converts every video by the matrix of ITU-R BT.601, which shifts the colours of most videos, and
    its conversion to RGB darkens them by a level.

    Yields:
        Frames of (H, W, 3) uint8, upright; `timestamp_ns` counts from the start of the video stream.

    Raises:
        UserError: the file does not exist.
        ImageError: it is not a video that FFmpeg can decode.
        MissingPackageError: av is not installed.
    """
    av = load_av()
    if not path.is_file():
        raise UserError(f"{path}: there is no such video")
    index = 0
    try:
        with av.open(str(path)) as video:
            if not video.streams.video:
                raise ImageError(f"{path} has no video stream, only sound")
            stream = video.streams.video[0]
            stream.thread_type = "AUTO"
            start, corrupt = stream.start_time or 0, 0
            for decoded in _decode(av, video, stream):
                if decoded is None:
                    corrupt += 1
                    continue
                video_ns = round(Fraction(decoded.pts - start) * decoded.time_base * 10**9)
                yield Frame(
                    _upright(decoded), str(path), index, video_ns, time.monotonic_ns(), corrupt=corrupt
                )
                index += 1
    except av.error.FFmpegError as error:
        raise ImageError(
            f"{path} is not a video that FFmpeg can decode: {shorten(error.strerror)}"
        ) from error
    if index == 0:
        raise ImageError(f"{path} is not a video that FFmpeg can decode: it has no frames")


def _decode(av: Any, video: Any, stream: Any) -> Iterator[Any]:
    """Yield decoded frames, None for a damaged one."""
    for packet in video.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            yield None


def _upright(decoded: Any) -> np.ndarray:
    # RGB has no matrix, but PyAV up to version 16 applies the source's only if the destination's differs.
    matrix = matrix_of(decoded.colorspace)
    other = "ITU601" if matrix == "ITU709" else "ITU709"
    # In two steps, since FFmpeg's direct conversion from 4:2:0 to RGB rounds down, on average by a level.
    full = decoded.reformat(format="yuv444p")
    rgb = full.reformat(format="rgb24", src_colorspace=matrix, dst_colorspace=other).to_ndarray()
    return np.ascontiguousarray(np.rot90(rgb, round(decoded.rotation / 90)))
