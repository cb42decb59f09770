"""Tell which streams a video format can hold, by their codecs."""

from __future__ import annotations

import functools
import io
from typing import Any

from ..system.packages import load_av

_FORMATS = {".mkv": "matroska", ".mp4": "mp4", ".mov": "mov"}  # FFmpeg's names


def can_hold(container: Any, stream: Any) -> bool:
    """Return True if an output container takes a copy of a stream."""
    return stream.codec_context is not None and stream.codec_context.codec.id in _codecs(
        container.format.name
    )


def formats_that_hold(stream: Any) -> list[str]:
    """Return the suffixes of the video formats that take a copy of a stream."""
    if stream.codec_context is None or stream.type not in ("audio", "subtitle"):
        return []
    codec = stream.codec_context.codec.id
    return [suffix for suffix, name in _FORMATS.items() if codec in _codecs(name)]


@functools.cache
def _codecs(format_name: str) -> frozenset[int]:
    """Return the codecs of a format by their numbers: decoders and encoders have other names than codecs."""
    av = load_av()
    numbers: set[int] = set()
    with av.open(io.BytesIO(), "w", format=format_name) as container:
        for name in container.supported_codecs:
            for mode in "rw":
                try:
                    numbers.add(av.Codec(name, mode).id)
                except av.codec.codec.UnknownCodecError:  # only the other way
                    continue
    return frozenset(numbers)
