"""VideoWriter: a video in H.264 whose frames keep their times, with the other streams of an original."""

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

VIDEO_FORMATS = (".mp4", ".m4v", ".mov", ".mkv")  # that hold H.264 frames with any times

_CLOCK = Fraction(1, 90_000)  # s; the usual one of videos
# Hardly to be told from the frames themselves. They are coded in their order: else a file's length is wrong
# where times are uneven, and the head of one that is written in parts cannot say when it begins.
_ENCODER = {"preset": "veryfast", "crf": "18", "bf": "0"}
# A recording that is killed can be played as far as it came, under its temporary name.
_IN_PARTS = {"movflags": "hybrid_fragmented", "flush_packets": "1"}
_PARTS = {"g": "30"}  # each of 30 frames
_LIMITED_RANGE = 1  # 16 to 235


class VideoWriter:
    """Writes a video; under its name there is either the whole video or what was there before.

    Args:
        path: where to; it ends in one of `VIDEO_FORMATS`.
        height, width: of the frames, in px.
        original: the video that the frames are from: its clock, its colours' description and its other
            streams (sound, subtitles) are taken over, these bit by bit; None: there is none.

    Raises:
        UserError: the format is not one of them or cannot hold the original's sound, or the folder cannot be
            written.
        MissingPackageError: av is not installed.
    """

    def __init__(self, path: Path, height: int, width: int, original: Path | None = None) -> None:
        self._av = load_av()
        if path.suffix.lower() not in VIDEO_FORMATS:
            raise UserError(f"{path}: videos are written as {' '.join(VIDEO_FORMATS)}")
        self.path = path
        self._waiting: Any = None  # the latest frame: how long it is shown is known when the next one comes
        self._durations: dict[int, int] = {}  # by the frame's time, both in ticks of the clock
        self._holds = contextlib.ExitStack()
        try:
            temporary = self._holds.enter_context(atomic_path(path))
            with self._told():
                self._open(temporary, height, width, original)
        except BaseException as error:
            self._leave(error)
            raise

    def write(self, pixels: np.ndarray, time_ns: int) -> None:
        """Add a frame.

        Args:
            pixels: (H, W, C), C = 1 or 3 (RGB), of the video's size; a video has 8 bits a colour.
            time_ns: when it is shown, from the first frame of the video; later than the frame before.

        Raises:
            UserError: the disk is full.
        """
        with self._told():
            frame = self._av.VideoFrame.from_ndarray(to_rgb_uint8(pixels), format="rgb24").reformat(
                format=self._stream.pix_fmt, dst_colorspace=self._matrix
            )
            frame.pts = round(Fraction(time_ns, 10**9) / self._clock) + self._start
            frame.time_base = self._clock
            if self._waiting is not None:
                frame.pts = max(frame.pts, self._waiting.pts + 1)
                self._encode(self._waiting, frame.pts - self._waiting.pts)
            self._waiting = frame

    def finish(self) -> None:
        """Write what is left, and give the video its name.

        Raises:
            UserError: the disk is full; nothing is left of the video.
        """
        try:
            with self._told():
                if self._waiting is not None:
                    self._encode(self._waiting, self._others.ticks_after(self._waiting.pts))
                self._mux(self._stream.encode(None))
                self._others.copy_until(None)
                self._container.close()
            self._others.close()
        except BaseException as error:
            self._leave(error)
            raise
        self._holds.close()

    def discard(self) -> None:
        """Leave nothing of the video."""
        self._leave(None)

    def _open(self, temporary: Path, height: int, width: int, original: Path | None) -> None:
        is_fragmented = original is None and temporary.suffix.lower() != ".mkv"
        self._container = self._av.open(str(temporary), "w", options=_IN_PARTS if is_fragmented else {})
        self._holds.callback(self._close_container)
        self._stream = self._container.add_stream(
            "libx264", options=_ENCODER | (_PARTS if is_fragmented else {})
        )
        self._stream.width, self._stream.height = width, height
        # A chroma sample serves 2×2 px where it can.
        self._stream.pix_fmt = "yuv420p" if height % 2 == width % 2 == 0 else "yuv444p"
        encoder = self._stream.codec_context
        encoder.color_range = _LIMITED_RANGE
        self._others = StreamCopy(self._av, self._container, original, self.path)
        self._holds.callback(self._others.close)
        video = self._others.video
        if video is None:
            self._clock, self._start, matrix = _CLOCK, 0, BT709
        else:
            described = video.codec_context
            self._clock, self._start = video.time_base, video.start_time or 0
            matrix = described.colorspace
            encoder.color_primaries, encoder.color_trc = described.color_primaries, described.color_trc
            encoder.framerate = video.average_rate or video.guessed_rate
            if described.sample_aspect_ratio and width == described.width:  # not turned
                encoder.sample_aspect_ratio = described.sample_aspect_ratio
        encoder.colorspace = matrix
        self._matrix = matrix_of(matrix)
        encoder.time_base = self._stream.time_base = self._clock
        try:
            self._container.start_encoding()
        except self._av.error.FFmpegError as error:
            if error.errno != errno.EINVAL:
                raise
            raise self._others.refused() from error

    def _encode(self, frame: Any, duration: int | None) -> None:
        if duration is not None:
            self._durations[frame.pts] = duration
        self._others.copy_until(frame.pts * self._clock)
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, packet.duration)
            self._container.mux(packet)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """FFmpeg's errors in one line."""
        try:
            yield
        except self._av.error.FFmpegError as error:
            raise UserError(
                f"cannot write {self.path}: {error.strerror}; free space or choose another folder"
            ) from error

    def _close_container(self) -> None:
        with contextlib.suppress(self._av.error.FFmpegError):  # what is left of it is thrown away
            self._container.close()

    def _leave(self, error: BaseException | None) -> None:
        error = error or UserError("discarded")
        self._holds.__exit__(type(error), error, error.__traceback__)
