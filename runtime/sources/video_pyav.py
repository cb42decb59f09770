"""The frames of a video that is to be written again: exact times, and colours by the video's own matrix."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError, UserError, cut
from ..frame import Frame
from ..system.pyav import load_av, matrix_of


def exact_video_frames(path: Path) -> Generator[Frame, None, None]:
    """As `video_frames`, by PyAV, which `noise2blur[video]` brings.

    OpenCV 4 reads every video by the matrix of ITU-R BT.601, which shifts the colours of most; and its
    conversion to RGB makes them a level darker.

    Yields:
        Frames of (H, W, 3) uint8, upright; `timestamp_ns` counts from the start of the video's picture.

    Raises:
        UserError: there is no such file.
        ImageError: it is no video that FFmpeg can decode.
        MissingPackageError: av is not installed.
    """
    av = load_av()
    if not path.is_file():
        raise UserError(f"{path}: there is no such video")
    index = 0
    try:
        with av.open(str(path)) as video:
            if not video.streams.video:
                raise ImageError(f"{path} has no picture, only sound")
            picture = video.streams.video[0]
            picture.thread_type = "AUTO"
            start, corrupt = picture.start_time or 0, 0
            for decoded in _decode(av, video, picture):
                if decoded is None:
                    corrupt += 1
                    continue
                video_ns = round(Fraction(decoded.pts - start) * decoded.time_base * 10**9)
                yield Frame(
                    _upright(decoded), str(path), index, video_ns, time.monotonic_ns(), corrupt=corrupt
                )
                index += 1
    except av.error.FFmpegError as error:
        raise ImageError(f"{path} is not a video that FFmpeg can decode: {cut(error.strerror)}") from error
    if index == 0:
        raise ImageError(f"{path} is not a video that FFmpeg can decode: it has no frames")


def _decode(av: Any, video: Any, picture: Any) -> Iterator[Any]:
    """Decoded frames; None: one that was damaged."""
    for packet in video.demux(picture):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            yield None


def _upright(decoded: Any) -> np.ndarray:
    # RGB has no matrix; but up to version 16 PyAV heeds the source's only where the result's differs.
    matrix = matrix_of(decoded.colorspace)
    other = "ITU601" if matrix == "ITU709" else "ITU709"
    # In two steps, since FFmpeg's way from 4:2:0 to RGB in one rounds down, by a level in the mean.
    full = decoded.reformat(format="yuv444p")
    rgb = full.reformat(format="rgb24", src_colorspace=matrix, dst_colorspace=other).to_ndarray()
    return np.ascontiguousarray(np.rot90(rgb, round(decoded.rotation / 90)))
