"""Open a video file, and find its video stream, its tags and the streams that are no videos."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ImageError
from ..system.packages import load_av

# "disposition" flags of FFmpeg's streams
_ATTACHED_PICTURE, _TIMED_THUMBNAILS = 1 << 10, 1 << 11


def open_video(path: Path) -> Any:
    """Return an open av.InputContainer, whose tags `read_tags` decodes."""
    return load_av().open(str(path), metadata_errors="surrogateescape")


def video_stream(container: Any, path: Path) -> Any:
    """Return the stream of the video itself; a cover image is none.

    Raises:
        ImageError: there is none.
    """
    streams = [stream for stream in container.streams.video if not is_cover(stream)]
    if not streams:
        what = "a cover image and sound" if container.streams.video else "only sound"
        raise ImageError(f"{path} has no video stream, {what}")
    if streams[0].codec_context is None:
        raise ImageError(f"{path} is not a video that FFmpeg can decode: its codec is unknown")
    return streams[0]


def is_cover(stream: Any) -> bool:
    """Return True if a video stream is a cover image or a row of thumbnails."""
    return stream.type == "video" and bool(stream.disposition.value & (_ATTACHED_PICTURE | _TIMED_THUMBNAILS))


def read_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a container, stream or chapter; what is not UTF-8 is read as Windows-1252."""
    return {_text(name): _text(value) for name, value in tags.items()}


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes that were no UTF-8
        raw = text.encode(errors="surrogateescape")
        try:
            return raw.decode("cp1252")
        except UnicodeDecodeError:
            return raw.decode("latin-1")
    return text
