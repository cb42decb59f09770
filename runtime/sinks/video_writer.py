"""Write H.264 videos whose frames keep their times, with the other streams of an original."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from ..images.convert import to_rgb_uint8
from ..system.files import atomic_path
from ..system.pyav import BT709, load_av, matrix_of
from .stream_copy import StreamCopy

VIDEO_FORMATS = (".mp4", ".m4v", ".mov", ".mkv")  # for H.264 frames at any times

_CLOCK = Fraction(1, 90_000)  # s; the usual one for videos
# Visually lossless. No B-frames: with them, the duration is wrong if times are uneven, and the header of a
# fragmented file cannot have the start time.
_ENCODER = {"preset": "veryfast", "crf": "18", "bf": "0"}
# Fragmented: an interrupted recording can be played under its temporary name.
_FRAGMENTED = {"movflags": "hybrid_fragmented", "flush_packets": "1"}
_FRAGMENTS = {"g": "30"}  # of 30 frames each
_LIMITED_RANGE = 1  # 16 to 235


class VideoWriter:
    """Writes a video, whole or not at all.

    Args:
        path: of the video; it ends in one of `VIDEO_FORMATS`.
        original: path of the video that the frames are from, whose clock, colour description and other
            streams (audio, subtitles) are copied, the latter bit by bit; None: there is none.

    Raises:
        UserError: the format is another or cannot hold the original's audio, or the folder cannot be written.
        MissingPackageError: av is not installed.
    """

    def __init__(self, path: Path, height: int, width: int, original: Path | None = None) -> None:
        self._av = load_av()
        if path.suffix.lower() not in VIDEO_FORMATS:
            raise UserError(f"{path}: videos are written as {' '.join(VIDEO_FORMATS)}")
        self.path = path
        self._pending: Any = None  # the latest frame, whose duration is known when the next one arrives
        self._durations: dict[int, int] = {}  # by frame time, both in ticks of the clock
        self._resources = contextlib.ExitStack()
        try:
            temporary = self._resources.enter_context(atomic_path(path, is_kept=original is None))
            with self._user_errors():
                self._open(temporary, height, width, original)
        except BaseException as error:
            self._abort(error)
            raise

    def write(self, pixels: np.ndarray, time_ns: int) -> None:
        """Add a frame.

        Args:
            pixels: (H, W, C), C = 1 or 3 (RGB), of the video's size and any depth; the video has 8 bits.
            time_ns: time of the frame since the start of the video, later than the previous frame.

        Raises:
            UserError: the disk is full.
        """
        with self._user_errors():
            frame = self._av.VideoFrame.from_ndarray(to_rgb_uint8(pixels), format="rgb24").reformat(
                format=self._stream.pix_fmt, dst_colorspace=self._matrix
            )
            frame.pts = round(Fraction(time_ns, 10**9) / self._clock) + self._start
            frame.time_base = self._clock
            if self._pending is not None:
                frame.pts = max(frame.pts, self._pending.pts + 1)
                self._encode(self._pending, frame.pts - self._pending.pts)
            self._pending = frame

    def finish(self) -> None:
        """Complete the video and give it its name.

        Raises:
            UserError: the disk is full; the video is discarded.
        """
        try:
            with self._user_errors():
                if self._pending is not None:
                    self._encode(self._pending, self._copies.ticks_after(self._pending.pts))
                self._mux(self._stream.encode(None))
                self._copies.copy_until(None)
                self._container.close()
            self._copies.close()
        except BaseException as error:
            self._abort(error)
            raise
        self._resources.close()

    def discard(self) -> None:
        """Discard the video."""
        self._abort(None)

    def _open(self, temporary: Path, height: int, width: int, original: Path | None) -> None:
        is_fragmented = original is None and temporary.suffix.lower() != ".mkv"
        self._container = self._av.open(str(temporary), "w", options=_FRAGMENTED if is_fragmented else {})
        self._resources.callback(self._close_container)
        self._stream = self._container.add_stream(
            "libx264", options=_ENCODER | (_FRAGMENTS if is_fragmented else {})
        )
        self._stream.width, self._stream.height = width, height
        # Chroma at half the size needs even sides.
        self._stream.pix_fmt = "yuv420p" if height % 2 == width % 2 == 0 else "yuv444p"
        encoder = self._stream.codec_context
        encoder.color_range = _LIMITED_RANGE
        self._copies = StreamCopy(self._av, self._container, original, self.path)
        self._resources.callback(self._copies.close)
        video = self._copies.video
        if video is None:
            self._clock, self._start, matrix = _CLOCK, 0, BT709
        else:
            source = video.codec_context
            self._clock, self._start = video.time_base, video.start_time or 0
            matrix = source.colorspace
            encoder.color_primaries, encoder.color_trc = source.color_primaries, source.color_trc
            encoder.framerate = video.average_rate or video.guessed_rate
            if source.sample_aspect_ratio and width == source.width:  # not turned
                encoder.sample_aspect_ratio = source.sample_aspect_ratio
        encoder.colorspace = matrix
        self._matrix = matrix_of(matrix)
        encoder.time_base = self._stream.time_base = self._clock
        try:
            self._container.start_encoding()
        except self._av.error.FFmpegError as error:
            if error.errno != errno.EINVAL:
                raise
            raise self._copies.refused() from error

    def _encode(self, frame: Any, duration: int | None) -> None:
        if duration is not None:
            self._durations[frame.pts] = duration
        self._copies.copy_until(frame.pts * self._clock)
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, packet.duration)
            self._container.mux(packet)

    @contextlib.contextmanager
    def _user_errors(self) -> Iterator[None]:
        """Raise FFmpeg's errors as UserError."""
        try:
            yield
        except self._av.error.FFmpegError as error:
            raise UserError(
                f"cannot write {self.path}: {error.strerror}; free space or choose another folder"
            ) from error

    def _close_container(self) -> None:
        with contextlib.suppress(self._av.error.FFmpegError):  # it is discarded anyway
            self._container.close()

    def _abort(self, error: BaseException | None) -> None:
        error = error or UserError("discarded")
        self._resources.__exit__(type(error), error, error.__traceback__)
