"""Describe what an image file contains besides pixels: the result of reading any format's header."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

from .metadata import Metadata

LARGEST_PROFILE_BYTES = 32 << 20  # a larger colour profile or EXIF block is damaged


class FormatError(Exception):
    """A fault of a file, as words that follow its name: "is cut short"."""


@dataclass
class Header:
    """The facts that turn a decoder's output into an Image.

    `exif` and `icc_profile` are unchanged; `dropped` names damaged parts that are left out, and `damage` is
    clauses about the image.
    """

    format: str
    exif: bytes | None = None
    icc_profile: bytes | None = None
    has_more_images: bool = False  # pages of a TIFF, frames of an animation
    is_grey_with_alpha: bool = False  # OpenCV decodes such a file to four channels
    is_inverted: bool = False  # the smallest value is white
    is_premultiplied: bool = False  # colours are multiplied by alpha
    metadata: Metadata = field(default_factory=Metadata)
    dropped: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)  # of a lossy image that is read all the same

    def warnings(self) -> list[str]:
        """Return what is wrong with the file although it is read, a clause each."""
        found = [f"its {part} is damaged or does not fit, and is left out" for part in self.dropped]
        found += [f"it is damaged, and parts of it may look wrong ({message})" for message in self.damage]
        if self.has_more_images:
            found.append("it contains several images; only the first is read")
        return found


def unpack(layout: str, data: memoryview, offset: int) -> tuple[Any, ...]:
    """Call struct.unpack_from; the end of the data is a FormatError."""
    if not 0 <= offset <= len(data) - struct.calcsize(layout):
        raise FormatError("is cut short")
    return struct.unpack_from(layout, data, offset)


def cut(data: memoryview, start: int, length: int) -> memoryview:
    """Return `length` bytes from `start`; fewer are a FormatError."""
    if start < 0 or length < 0 or start + length > len(data):
        raise FormatError("is cut short")
    return data[start : start + length]
