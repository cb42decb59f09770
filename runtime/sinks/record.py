"""Write denoised frames as a video: the recording of a camera, or a denoised video."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..frame import Frame
from ..system.packages import load_av
from .video_writer import VIDEO_FORMATS, VideoWriter

_logger = logging.getLogger(__name__)


class _OpenVideo:
    """The video that a sink is writing, and the size of its frames."""

    _video: VideoWriter | None = None
    _size_hw: tuple[int, ...] = 0, 0

    def finish(self) -> None:
        """Complete the video and give it its name.

        Raises:
            UserError: the disk is full.
        """
        video, self._video = self._video, None
        if video is not None:
            video.finish()

    def discard(self) -> None:
        """Discard a video that is not finished."""
        video, self._video = self._video, None
        if video is not None:
            video.discard()


class RecordSink(_OpenVideo):
    """Records the denoised frames as a video, at the times of their arrival.

    The video gets its name when it is complete. Frames of another size start a new video: out-2.mp4,
    out-3.mp4, …

    Args:
        path: of the video, .mp4, .mov, .m4v or .mkv.

    Raises:
        UserError: the suffix is another, or the file exists.
        MissingPackageError: av is not installed.
    """

    def __init__(self, path: Path) -> None:
        load_av()
        if path.suffix.lower() not in VIDEO_FORMATS:
            raise UserError(f"--record needs a file name that ends in {' '.join(VIDEO_FORMATS)}, not {path}")
        if path.exists():
            raise UserError(f"{path} already exists; move it, or choose another name for --record")
        self._path = path
        self._number = self._start_ns = 0

    def write(self, frame: Frame, denoised: np.ndarray, /) -> bool:
        """Add one frame.

        Raises:
            UserError: the folder cannot be written, or the disk is full; this video is lost.
        """
        if self._video is None or denoised.shape[:2] != self._size_hw:
            self._begin(frame, *denoised.shape[:2])
        assert self._video is not None
        try:
            self._video.write(denoised, frame.timestamp_ns - self._start_ns)
        except BaseException:
            self.discard()
            raise
        return True

    close = _OpenVideo.finish

    def _begin(self, frame: Frame, height: int, width: int) -> None:
        self.close()
        self._number += 1
        path = self._path
        if self._number > 1:
            path = path.with_stem(f"{path.stem}-{self._number}")
            _logger.info(f"frames are now {width}×{height} px: recording continues in {path}")
            if path.exists():
                raise UserError(f"{path} already exists; move it, or choose another name for --record")
        self._video = VideoWriter(path, height, width)
        self._size_hw = height, width
        self._start_ns = frame.timestamp_ns


class VideoSink(_OpenVideo):
    """Writes the denoised frames of a video as a video, with their times and its other streams unchanged.

    Call `finish` after the last frame; `close` without it leaves nothing.
    """

    def __init__(self, path: Path, original: Path) -> None:
        load_av()
        self._path, self._original = path, original

    def write(self, frame: Frame, denoised: np.ndarray, /) -> bool:
        """Add one frame.

        Raises:
            UserError: the disk is full, or the frames change their size.
        """
        height, width = size_hw = denoised.shape[:2]
        if self._video is None:
            is_deep = denoised.dtype != np.uint8
            self._video = VideoWriter(self._path, height, width, self._original, deep=is_deep)
            self._size_hw = size_hw
        if size_hw != self._size_hw:
            raise UserError(
                f"{self._original} changes its size at frame {frame.index}, to {width}×{height} px; "
                "split it there"
            )
        self._video.write(denoised, frame.timestamp_ns)
        return True

    close = _OpenVideo.discard
