"""Copy the audio and subtitle streams of a video unchanged."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..errors import UserError

_logger = logging.getLogger(__name__)


class StreamCopy:
    """Copies the streams of an original, except its video stream, packet by packet.

    Attributes:
        video: video stream of the original; None: there is no original.
    """

    def __init__(self, av: Any, container: Any, original: Path | None, path: Path) -> None:
        self.video: Any = None
        self._original: Any = None
        self._container, self._path = container, path
        self._packets: Iterator[Any] = iter(())
        self._pending: Any = None
        self._copies: dict[int, Any] = {}  # by index of the stream in the original
        if original is None:
            return
        self._original = av.open(str(original))
        self.video = self._original.streams.video[0]
        container.metadata.update(self._original.metadata)
        copied = [stream for stream in self._original.streams if self._add(stream)]
        if copied:
            self._packets = (packet for packet in self._original.demux(copied) if packet.dts is not None)
            self._pending = next(self._packets, None)

    def copy_until(self, time_s: Fraction | None) -> None:
        """Copy the packets before a time; None: all remaining ones."""
        while (packet := self._pending) is not None:
            if time_s is not None and packet.dts * packet.time_base > time_s:
                return
            packet.stream = self._copies[packet.stream.index]
            self._container.mux(packet)
            self._pending = next(self._packets, None)

    def ticks_after(self, pts: int) -> int | None:
        """Return the ticks from `pts` to the end of the original's video stream; None if unknown."""
        if self.video is None or self.video.duration is None:
            return None
        remaining = (self.video.start_time or 0) + self.video.duration - pts
        return remaining if remaining > 0 else None

    def refused(self) -> UserError:
        """Return the error for a format that cannot hold the original's streams."""
        streams = self._original.streams if self._original is not None else ()
        codecs = ", ".join(_codec(stream) for stream in streams if stream.type == "audio")
        return UserError(
            f"{self._path}: {self._path.suffix} cannot hold the video's audio ({codecs}); "
            "name the result with .mkv"
        )

    def close(self) -> None:
        """Close the original."""
        if self._original is not None:
            self._original.close()

    def _add(self, stream: Any) -> bool:
        """Prepare to copy a stream; return False, with a warning, if the format cannot hold it.

        Raises:
            UserError: it is audio that the format cannot hold.
        """
        if stream is self.video:
            return False
        codec = _codec(stream)
        if stream.type in ("audio", "subtitle") and codec in self._container.supported_codecs:
            copy = self._container.add_stream_from_template(stream)
            copy.metadata.update(stream.metadata)
            self._copies[stream.index] = copy
            return True
        if stream.type == "audio":
            raise self.refused()
        _logger.warning(f"{self._path}: left out stream {stream.index} of the video, {stream.type} ({codec})")
        return False


def _codec(stream: Any) -> str:
    return stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
