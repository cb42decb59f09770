"""Decode every frame of a video, count what is damaged, and notice a file that is cut short."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..system.packages import load_av
from .container import is_cover, video_stream
from .damage import PacketCheck
from .timeline import Timeline

# Formats that state their length, by FFmpeg's name; it estimates that of others from the bit rate.
_STATED_LENGTH = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "avi", "asf", "flv")
_MISSING_S = Fraction(1, 5)  # a file that ends earlier by more is cut short
_MISSING_WITHOUT_DURATIONS_S = 2  # where the last frame may be shown for a while
_NEAR_JOINT = 5  # packets
_AV_SECOND = 1_000_000  # ticks of a container's duration
# Codecs of which each packet is a frame that is shown; others have hidden frames or repeat the one before.
_FRAME_PER_PACKET = (
    "h264", "hevc", "vvc", "vp9", "av1", "libdav1d", "ffv1", "prores", "dnxhd", "png", "mjpeg", "utvideo",
    "huffyuv", "ffvhuff", "magicyuv", "cfhd",
)  # fmt: skip


class VideoDecoder:
    """Decodes the video stream of an open container.

    Attributes:
        corrupt: frames so far that could not be decoded.
        has_hidden_alpha: True if the transparency is a stream of its own, which is not decoded (VP8, VP9).
    """

    def __init__(self, container: Any, path: Path) -> None:
        self._av = load_av()
        self._container, self._path = container, path
        self._stream = video_stream(container, path)
        self._timeline = Timeline(container)
        codec = self._stream.codec_context
        # PyAV loses frames that other threads decode when one is damaged; it matters where the rest is whole.
        is_intra = codec.codec.intra_only or codec.name == "png"
        self._stream.thread_type = "SLICE" if is_intra else "AUTO"
        self._has_frame_per_packet = codec.name in _FRAME_PER_PACKET
        self._check = PacketCheck(codec.name, codec.extradata)
        self._suspects: set[int | None] = set()  # times of packets that are damaged by that check
        self._expected = self._decoded = 0  # frames
        self._patched: list[Fraction] = []  # times in s of frames that the decoder says are damaged
        self._suspected: list[Fraction] = []  # of further ones
        self._failed_to_read = False
        self._packets_read = self._lossy_part = 0
        self._lossy: dict[int, Fraction] = {}  # by number of the packet: its time in s
        self.corrupt = 0
        self.has_hidden_alpha = self._stream.metadata.get("alpha_mode") == "1"

    def frames(self) -> Iterator[tuple[Any, Fraction]]:
        """Yield decoded frames with their times in s, from the start of the stream; joints do not show."""
        unit = self._stream.time_base
        start = self._stream.start_time or 0
        following = start  # time of a frame that has none
        first_error: Exception | None = None
        for packet in self._packets():
            try:
                decoded = packet.decode()
            except self._av.error.FFmpegError as error:
                self.corrupt += 1
                first_error = first_error or error
                continue
            for frame in decoded:
                stamp = following if frame.pts is None else frame.pts
                time_s = Fraction(stamp - start) * unit
                following = stamp + self._frame_ticks(frame)
                self._count_frame(frame, time_s)
                yield frame, time_s
        if first_error is not None and not self._decoded:
            raise first_error
        if self._has_frame_per_packet:
            self.corrupt = max(self.corrupt, self._expected - self._decoded)

    def problems(self) -> Iterator[str]:
        """Describe what was wrong with the file, after its last frame."""
        if self._timeline.restarts:
            yield (
                f"its times begin again (joints: {self._timeline.restarts}); in the result the parts follow "
                "one another"
            )
        patched = [
            *self._patched,
            *self._lossy.values(),
            *(self._suspected if self._check.is_reliable else ()),
        ]
        if patched:
            them = "it" if len(patched) == 1 else "them"
            yield (
                f"{_damaged(len(patched))} in the result as the decoder patched {them} up, the first at "
                f"{float(min(patched)):.1f} s"
            )
        if self.corrupt:
            yield f"{_damaged(self.corrupt)} left out of the result"
        if (length_s := self._stated_s()) is not None and self._is_short(length_s):
            end_s = float(self._timeline.end_s - self._start_s())
            yield f"the file is cut short, at {max(end_s, 0):.1f} s of {float(length_s):.1f} s"
        elif self._failed_to_read:
            yield "the rest of the file cannot be read"

    def _packets(self) -> Iterator[Any]:
        """Yield the packets of the video stream, the last one empty."""
        packets = self._container.demux()
        while True:
            try:
                packet = next(packets, None)
            except self._av.error.FFmpegError:
                if not self._packets_read:
                    raise
                self._failed_to_read = True
                yield from self._flush()
                return
            if packet is None:
                return
            if is_cover(packet.stream):
                continue
            self._timeline.shift(packet)
            if packet.stream.index == self._stream.index:
                self._count_lost(packet)
                if packet.size:
                    self._expected += not packet.is_discard
                    if self._check.is_damaged(bytes(packet)):
                        self._suspects.add(packet.pts)
                yield packet

    def _flush(self) -> Iterator[Any]:
        packet = self._av.Packet()
        packet.stream = self._stream
        yield packet

    def _count_lost(self, packet: Any) -> None:
        """Count packets of which some was lost in transmission; near joints they look the same."""
        if (part := self._timeline.part_of(self._stream)) != self._lossy_part:
            self._lossy_part = part
            self._lossy.clear()
        for at in [at for at in self._lossy if at <= self._packets_read - _NEAR_JOINT]:
            self._patched.append(self._lossy.pop(at))
        if packet.is_corrupt and packet.pts is not None:
            start = self._stream.start_time or 0
            self._lossy[self._packets_read] = (packet.pts - start) * packet.time_base
        self._packets_read += 1

    def _count_frame(self, frame: Any, time_s: Fraction) -> None:
        self._decoded += 1
        if frame.interlaced_frame:  # each field may have a packet
            self._has_frame_per_packet = False
        is_suspect = frame.pts in self._suspects
        self._suspects.discard(frame.pts)
        if frame.is_corrupt:
            self._patched.append(time_s)
        elif is_suspect:
            self._suspected.append(time_s)

    def _frame_ticks(self, frame: Any) -> int:
        if frame.duration:
            return int(frame.duration)
        rate = self._stream.average_rate or self._stream.guessed_rate
        return max(1, round(1 / (rate * self._stream.time_base))) if rate else 1

    def _start_s(self) -> Fraction:
        return Fraction(self._container.start_time or 0, _AV_SECOND)

    def _stated_s(self) -> Fraction | None:
        duration, name = self._container.duration, self._container.format.name
        if name == "avi" and self._stream.frames and self._stream.average_rate:  # FFmpeg counts what is there
            return self._stream.frames / self._stream.average_rate
        return None if duration is None or name not in _STATED_LENGTH else Fraction(duration, _AV_SECOND)

    def _is_short(self, length_s: Fraction) -> bool:
        timeline = self._timeline
        allowed_s = _MISSING_S if timeline.has_durations else _MISSING_WITHOUT_DURATIONS_S
        return not timeline.restarts and timeline.end_s - self._start_s() < length_s - allowed_s


def _damaged(count: int) -> str:
    return "1 damaged frame is" if count == 1 else f"{count} damaged frames are"
