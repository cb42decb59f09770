"""Describe what an image file contains besides pixels: the result of reading any format's header."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

LARGEST_PROFILE_BYTES = 32 << 20  # a larger colour profile or EXIF block is damaged


class FormatError(Exception):
    """A fault of a file, as words that follow its name: "is cut short"."""


@dataclass
class Header:
    """The facts that turn a decoder's output into an Image.

    `exif` and `icc_profile` are unchanged; `dropped` names damaged parts that are left out.
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
    """Call struct.unpack_from; the end of the data is a FormatError."""
    try:
        return struct.unpack_from(layout, data, offset)
    except struct.error as error:
        raise FormatError("is cut short") from error


def cut(data: memoryview, start: int, length: int) -> memoryview:
    """Return `length` bytes from `start`; fewer are a FormatError."""
    if start < 0 or length < 0 or start + length > len(data):
        raise FormatError("is cut short")
    return data[start : start + length]
