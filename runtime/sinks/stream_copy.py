"""Copy the audio, subtitles, cover, attachments, chapters and tags of a video."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..video.container import is_cover, open_video, read_tags, video_stream
from ..video.timeline import Timeline
from .held_codecs import can_hold, formats_that_hold
from .pcm import PCMCopy

_logger = logging.getLogger(__name__)

_KEPT_TAGS = (
    "title",
    "language",
    "handler_name",
    "timecode",
)  # of the video stream; others describe its coding
_ANY_AUDIO = ".mkv"  # the format for audio that the others cannot hold
_IMAGE_TYPES = {"mjpeg": ("jpg", "image/jpeg"), "png": ("png", "image/png"), "bmp": ("bmp", "image/bmp")}


class StreamCopy:
    """Copies what an original holds besides its video stream; streams are copied packet by packet.

    Args:
        container: the open result; its video stream exists.
        path: of the result, for messages.
    """

    def __init__(self, container: Any, video: Any, original: Path, path: Path) -> None:
        self._container, self._path = container, path
        self._packets: Iterator[Any] = iter(())
        self._pending: Any = None
        self._copies: dict[int, Any] = {}  # streams or PCM copies, by index of the stream in the original
        self._latest: dict[int, tuple[int, int]] = {}  # decoding time of the latest packet, and its end
        self._original = open_video(original)
        self._timeline = Timeline(self._original)
        self._video = video_stream(self._original, original)
        container.metadata.update(read_tags(self._original.metadata))
        container.set_chapters(
            [{**one, "metadata": read_tags(one["metadata"])} for one in self._original.chapters()]
        )
        video.disposition = self._video.disposition.value
        tags = read_tags(self._video.metadata)
        video.metadata.update({name: tags[name] for name in _KEPT_TAGS if name in tags})
        for stream in self._original.streams:
            if stream.index != self._video.index:
                self._add(stream, original)
        if self._copies:
            self._packets = self._shifted()
            self._pending = next(self._packets, None)

    def copy_until(self, time_s: Fraction | None) -> None:
        """Copy the packets before a time; None: all remaining ones."""
        while (packet := self._pending) is not None:
            if time_s is not None and packet.dts * packet.time_base > time_s:
                return
            copy = self._copies[packet.stream.index]
            if isinstance(copy, PCMCopy):
                self._container.mux(copy.encode(packet))
            else:
                packet.stream = copy
                self._container.mux(packet)
            self._pending = next(self._packets, None)
        for copy in self._copies.values():
            if time_s is None and isinstance(copy, PCMCopy):
                self._container.mux(copy.encode(None))

    @property
    def is_joined(self) -> bool:
        """True if the times of the original have begun again so far."""
        return self._timeline.restarts > 0

    def refused(self) -> UserError:
        """Return the error for a format that cannot hold the original's streams."""
        codecs = ", ".join(_codec(stream) for stream in self._original.streams if stream.type == "audio")
        return self._refused(codecs)

    def close(self) -> None:
        """Close the original."""
        self._original.close()

    def _shifted(self) -> Iterator[Any]:
        """Yield the packets to copy, their times shifted where the original's begin again."""
        has_cover = set[int]()
        for packet in self._original.demux():
            index, size = packet.stream.index, packet.size
            if is_cover(packet.stream):
                if size and index in self._copies and index not in has_cover:
                    has_cover.add(index)
                    packet.pts = packet.dts = 0
                    yield packet
                continue
            self._timeline.shift(packet)
            if index not in self._copies or not size or (packet.dts is None and packet.pts is None):
                continue
            if packet.dts is None:
                packet.dts = packet.pts
            latest, end = self._latest.get(index, (packet.dts, 0))
            if packet.dts < latest:  # at a joint; formats refuse such times
                packet.dts = end
                packet.pts = max(end, packet.pts or 0)
            self._latest[index] = packet.dts, packet.dts + max(1, packet.duration or 1)
            yield packet

    def _add(self, stream: Any, original: Path) -> None:
        """Prepare to copy a stream; warn if the format cannot hold it.

        Raises:
            UserError: it is audio that this format cannot hold, and another can.
        """
        suffix = self._path.suffix.lower()
        if is_cover(stream) and suffix == ".mkv":
            self._attach_cover(stream, original)
        elif stream.type == "attachment" and suffix == ".mkv":
            copy = self._container.add_stream_from_template(stream)
            copy.metadata.update(read_tags(stream.metadata))
        elif (stream.type in ("audio", "subtitle") or is_cover(stream)) and can_hold(self._container, stream):
            copy = self._container.add_stream_from_template(stream, opaque=True)
            copy.disposition = stream.disposition.value
            copy.metadata.update(read_tags(stream.metadata))
            self._copies[stream.index] = copy
        elif stream.type == "audio" and suffix != _ANY_AUDIO:
            raise self._refused(_codec(stream))
        elif stream.type == "audio" and stream.codec_context is not None:
            copy = PCMCopy(self._container, stream)
            copy.stream.disposition = stream.disposition.value
            copy.stream.metadata.update(read_tags(stream.metadata))
            self._copies[stream.index] = copy
            _logger.warning(
                f"{self._path}: stream {stream.index} of the video, audio ({_codec(stream)}), is decoded and "
                f"written as {copy.name}, without loss: {suffix} does not take it as it is"
            )
        elif not (self._is_chapter_track(stream) or _is_timecode(stream)):
            self._leave_out(stream)

    def _attach_cover(self, stream: Any, original: Path) -> None:
        """Matroska holds a cover image as an attachment."""
        codec = _codec(stream)
        with open_video(original) as container:
            packets = container.demux(container.streams[stream.index])
            data = next((bytes(packet) for packet in packets if packet.size), b"")
        if codec not in _IMAGE_TYPES or not data:
            self._leave_out(stream)
            return
        extension, mime_type = _IMAGE_TYPES[codec]
        self._container.add_attachment(f"cover.{extension}", mime_type, data)

    def _is_chapter_track(self, stream: Any) -> bool:
        """Return True for the text that QuickTime keeps chapters in; they are copied as such."""
        return (
            stream.type == "data" and "mp4" in self._original.format.name and bool(self._original.chapters())
        )

    def _leave_out(self, stream: Any) -> None:
        others = formats_that_hold(stream)
        what = f"stream {stream.index} of the video, {stream.type} ({_codec(stream)})"
        hint = f", {' and '.join(others)} can" if others else ""
        _logger.warning(f"{self._path}: left out {what}: {self._path.suffix.lower()} cannot hold it{hint}")

    def _refused(self, codecs: str) -> UserError:
        return UserError(
            f"{self._path}: {self._path.suffix} cannot hold the video's audio ({codecs}); "
            f"name the result with {_ANY_AUDIO}"
        )


def _codec(stream: Any) -> str:
    return stream.codec_context.codec.canonical_name if stream.codec_context else "unknown codec"


def _is_timecode(stream: Any) -> bool:
    """Return True for QuickTime's stream of time codes; formats make theirs of the tag, which is copied."""
    return stream.type == "data" and "timecode" in stream.metadata
