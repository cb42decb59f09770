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
from ..images.convert import to_rgb
from ..system.files import atomic_path
from ..system.packages import load_av
from ..video.convert import FromRGB, matrix_of
from ..video.description import VideoDescription, describe_video
from .stream_copy import StreamCopy

VIDEO_FORMATS = (".mp4", ".m4v", ".mov", ".mkv")  # for H.264 frames at any times
MOST_BITS = 10  # per channel

# Visually lossless, and cheap next to the model, which needs the same cores: "veryfast" takes twice as
# long, for files smaller by 10 (noisy) to 40 % (smooth). No B-frames: with them, the duration is wrong
# if times are uneven, and the header of a fragmented file cannot have the start time.
_ENCODER = {"preset": "superfast", "crf": "18", "bf": "0"}
# Fragmented: an interrupted recording can be played under its temporary name.
_FRAGMENTED = {"movflags": "hybrid_fragmented", "flush_packets": "1"}
_FRAGMENTS = {"g": "30"}  # of 30 frames each
_LIMITED_RANGE = 1  # 16 to 235
_INTERLACED = 1 << 18 | 1 << 29  # AV_CODEC_FLAG_INTERLACED_DCT, AV_CODEC_FLAG_INTERLACED_ME
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class VideoWriter:
    """Writes a video, whole or not at all.

    Args:
        path: of the video; it ends in one of `VIDEO_FORMATS`.
        original: path of the video that the frames are from, whose clock, colour description, order of fields
            and other streams (audio, subtitles) are copied, the latter bit by bit; None: there is none.
        deep: write 10 bits per channel if the original has more than 8.

    Raises:
        UserError: the format is another or cannot hold the original's audio, or the folder cannot be written.
        ImageError: the original is not a video that FFmpeg can decode.
        MissingPackageError: av is not installed.
    """

    def __init__(
        self, path: Path, height: int, width: int, original: Path | None = None, *, deep: bool = False
    ) -> None:
        self._av = load_av()
        if path.suffix.lower() not in VIDEO_FORMATS:
            raise UserError(f"{path}: videos are written as {' '.join(VIDEO_FORMATS)}")
        self.path = path
        self._pending: Any = None  # the latest frame, whose duration is known when the next one arrives
        self._durations: dict[int, int] = {}  # by frame time, both in ticks of the clock
        self._resources = contextlib.ExitStack()
        self._copies: StreamCopy | None = None
        self._video = VideoDescription() if original is None else describe_video(original)
        try:
            temporary = self._resources.enter_context(atomic_path(path, is_kept=original is None))
            with self._user_errors():
                self._open(temporary, height, width, original, deep)
        except BaseException as error:
            self._abort(error)
            raise

    def write(self, pixels: np.ndarray, time_ns: int) -> None:
        """Add a frame.

        Args:
            pixels: (H, W, C), C = 1 or 3 (RGB), of the video's size and any depth.
            time_ns: time of the frame since the start of the video, later than the previous frame.

        Raises:
            UserError: the disk is full.
        """
        with self._user_errors():
            frame = self._from_rgb(to_rgb(pixels, self._dtype), self._video.time_base)
            frame.pts = round(Fraction(time_ns, 10**9) / self._video.time_base) + self._video.start
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
                    self._encode(self._pending, self._ticks_after(self._pending.pts))
                self._mux(self._stream.encode(None))
                self._copy_until(None)
                self._container.close()
            if self._copies is not None:
                self._copies.close()
        except BaseException as error:
            self._abort(error)
            raise
        self._resources.close()

    def discard(self) -> None:
        """Discard the video."""
        self._abort(None)

    def _open(self, temporary: Path, height: int, width: int, original: Path | None, deep: bool) -> None:
        is_fragmented = original is None and temporary.suffix.lower() != ".mkv"
        self._container = self._av.open(str(temporary), "w", options=_FRAGMENTED if is_fragmented else {})
        self._resources.callback(self._close_container)
        video = self._video
        options, parameters = _ENCODER | (_FRAGMENTS if is_fragmented else {}), list[str]()
        self._stream = self._container.add_stream("libx264")
        self._stream.width, self._stream.height = width, height
        is_deep = deep and video.bits > 8
        is_top_first = video.is_top_first if height % 2 == 0 else None
        self._dtype = np.uint16 if is_deep else np.uint8
        chroma = _chroma(height, width, is_interlaced=is_top_first is not None)
        pix_fmt = self._stream.pix_fmt = chroma + ("10le" if is_deep else "")
        encoder = self._stream.codec_context
        encoder.color_range, encoder.colorspace = _LIMITED_RANGE, video.colorspace
        if video.primaries is not None and video.transfer is not None:
            encoder.color_primaries, encoder.color_trc = video.primaries, video.transfer
        if video.rate is not None:
            encoder.framerate = video.rate
        if video.pixel_aspect is not None:
            encoder.sample_aspect_ratio = video.pixel_aspect
        if is_top_first is not None:
            encoder.flags |= _INTERLACED
            options["field_order"] = "tt" if is_top_first else "bb"
            parameters.append("tff=1" if is_top_first else "bff=1")
        if video.hdr is not None:
            parameters.append(video.hdr)
        encoder.options = options | {"x264-params": ":".join(parameters)}
        encoder.time_base = self._stream.time_base = video.time_base
        matrix = matrix_of(video.colorspace, str(original))
        self._from_rgb = FromRGB(self._av, pix_fmt, matrix, is_top_first)
        if original is not None:
            self._copies = StreamCopy(self._container, self._stream, original, self.path)
            self._resources.callback(self._copies.close)
        try:
            self._container.start_encoding()
        except self._av.error.FFmpegError as error:
            if error.errno != errno.EINVAL or self._copies is None:
                raise
            raise self._copies.refused() from error

    def _ticks_after(self, pts: int) -> int | None:
        """Return the ticks from `pts` to the end of the original's video stream; None if unknown."""
        if self._video.end is None or self._copies is None or self._copies.is_joined:
            return None
        remaining = self._video.end - pts
        return remaining if remaining > 0 else None

    def _copy_until(self, time_s: Fraction | None) -> None:
        if self._copies is not None:
            self._copies.copy_until(time_s)

    def _encode(self, frame: Any, duration: int | None) -> None:
        if duration is not None:
            self._durations[frame.pts] = duration
        self._copy_until(frame.pts * self._video.time_base)
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
            hint = "free space or choose another folder"
            if error.errno not in _NO_SPACE:
                hint = "try another format, such as .mkv, or repair the video first: ffmpeg -i IN -c copy OUT"
            raise UserError(f"cannot write {self.path}: {error.strerror}; {hint}") from error

    def _close_container(self) -> None:
        with contextlib.suppress(self._av.error.FFmpegError):  # it is discarded anyway
            self._container.close()

    def _abort(self, error: BaseException | None) -> None:
        error = error or UserError("discarded")
        self._resources.__exit__(type(error), error, error.__traceback__)


def _chroma(height: int, width: int, *, is_interlaced: bool) -> str:
    """Return the pixel format for 8 bits; chroma at half the size needs even sides, of each field too."""
    rows = 4 if is_interlaced else 2
    return "yuv420p" if height % rows == width % 2 == 0 else "yuv444p"
