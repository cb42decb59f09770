"""What a file says of its picture besides the pixels: the result of reading any format's header."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

LARGEST_PROFILE_BYTES = 32 << 20  # a colour profile or EXIF block that claims more is damaged


class FormatError(Exception):
    """What is wrong with a file, in words that go after its name: "is cut short"."""


@dataclass
class Header:
    """What has to be known to turn a decoder's output into an Image.

    `exif` and `icc_profile` are as they were found; `dropped` names what was too damaged to keep.
    """

    format: str
    exif: bytes | None = None
    icc_profile: bytes | None = None
    has_more_images: bool = False  # pages of a TIFF, frames of an animation
    is_grey_with_alpha: bool = False  # OpenCV decodes such a file to four channels
    is_inverted: bool = False  # the smallest value is white
    is_premultiplied: bool = False  # colours are multiplied by alpha
    dropped: list[str] = field(default_factory=list)


def unpack(layout: str, data: memoryview, offset: int) -> tuple[Any, ...]:
    """struct.unpack_from that reports the end of the data as a FormatError."""
    try:
        return struct.unpack_from(layout, data, offset)
    except struct.error as error:
        raise FormatError("is cut short") from error


def cut(data: memoryview, start: int, length: int) -> memoryview:
    """`length` bytes from `start`, all of them or a FormatError."""
    if start < 0 or length < 0 or start + length > len(data):
        raise FormatError("is cut short")
    return data[start : start + length]
