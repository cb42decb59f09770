"""Read and write the segments of a JPEG file (ITU-T T.81 annex B, EXIF 2.32, ICC.1 annex B.4, XMP part 3).

OpenCV keeps EXIF blocks and colour profiles only from 5.0 on.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from .header import LARGEST_PROFILE_BYTES, FormatError, Header, cut, unpack
from .jpeg_coding import Frame, Scans, coding_of
from .metadata import Density, Metadata

MAGIC = b"\xff\xd8\xff"

_END, _START_OF_SCAN, _QUANTISATION, _APP0, _APP1, _APP2 = 0xD9, 0xDA, 0xDB, 0xE0, 0xE1, 0xE2
_APP13, _COMMENT = 0xED, 0xFE
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame, of every coding
_JFIF = b"JFIF\0"
_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_IPTC = b"Photoshop 3.0\0"
_ICC = b"ICC_PROFILE\0"
_LARGEST_SEGMENT_BYTES = 65533
# Within compressed data 0xFF is followed by 0 or by a restart marker, so the next match is a segment.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
_UNITS: tuple[Literal["", "inch", "cm"], ...] = ("", "inch", "cm")  # of a JFIF segment


def read_header(data: memoryview) -> Header:
    """Read the segments up to the end-of-image marker, which a truncated file lacks."""
    header = Header("JPEG")
    application = _Application()
    tables: dict[int, bytes] = {}
    frame: Frame | None = None
    scans = Scans()
    for marker, segment in _segments(data):
        if marker in _FRAMES:
            frame = Frame.read(marker, segment)
            if len(frame.components) == 4:
                raise FormatError("is a CMYK image; convert it to RGB")
        elif marker == _START_OF_SCAN:
            scans.add(segment)
        elif marker == _QUANTISATION:
            tables.update(_tables(segment))
        else:
            application.add(marker, segment)
    if frame is None or not frame.components:
        raise FormatError("is damaged: it has no image")
    if scans.are_missing(frame):
        header.damage.append("a part of its data is missing")
    header.exif = application.exif
    if profile := application.profile:
        if sorted(profile) == list(range(1, application.profile_parts + 1)):
            header.icc_profile = b"".join(profile[part] for part in sorted(profile))
        else:
            header.dropped.append("colour profile")
    header.metadata = Metadata(
        application.xmp,
        application.density,
        jpeg_segments=tuple(application.kept),
        jpeg=coding_of(frame, tables),
    )
    return header


def _segments(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield marker and content of each segment before the end of the image."""
    position = 2
    while True:
        match = _MARKER.search(data, position)
        if match is None:
            raise FormatError("is cut short")
        marker, start = data[match.start() + 1], match.end()
        if marker == _END:
            return
        (length,) = unpack(">H", data, start)
        segment = cut(data, start + 2, max(length - 2, 0))
        yield marker, segment
        position = start + 2 + len(segment)


@dataclass
class _Application:
    """The segments that do not decide the pixels."""

    exif: bytes | None = None
    xmp: bytes | None = None
    density: Density | None = None
    profile: dict[int, bytes] = field(default_factory=dict)  # number of a part → the part
    profile_parts: int = 0
    kept: list[tuple[int, bytes]] = field(default_factory=list)

    def add(self, marker: int, segment: memoryview) -> None:
        """Take in a segment."""
        if marker == _APP0 and segment[:5] == _JFIF and len(segment) >= 12:
            unit, across, down = unpack(">BHH", segment, 7)
            if across and down and unit < len(_UNITS) and (unit, across, down) != (0, 1, 1):
                self.density = Density(across, down, _UNITS[unit])
        elif marker == _APP1 and segment[:6] == _EXIF and self.exif is None:
            self.exif = bytes(segment[6:])
        elif marker == _APP1 and segment[: len(_XMP)] == _XMP:
            self.xmp = bytes(segment[len(_XMP) :])
        elif marker == _APP2 and segment[:12] == _ICC and len(segment) > 14:
            self.profile[segment[12]] = bytes(segment[14:])
            self.profile_parts = segment[13]
        elif marker == _COMMENT or _is_kept(marker, segment):
            self.kept.append((marker, bytes(segment)))


def _is_kept(marker: int, segment: memoryview) -> bool:
    prefix = {_APP1: _XMP_EXTENSION, _APP13: _IPTC}.get(marker)
    return prefix is not None and segment[: len(prefix)] == prefix


def _tables(segment: memoryview) -> dict[int, bytes]:
    """Return the quantisation tables of 8 bits in a segment, by their number, in zigzag order."""
    tables, position = {}, 0
    while position < len(segment):
        is_16_bit, number = segment[position] >> 4, segment[position] & 15
        size = 128 if is_16_bit else 64
        if not is_16_bit and position + 1 + size <= len(segment):
            tables[number] = bytes(segment[position + 1 : position + 1 + size])
        position += 1 + size
    return tables


def embed(
    encoded: memoryview, *, exif: bytes | None, icc_profile: bytes | None, metadata: Metadata
) -> list[bytes | memoryview]:
    """Return the pieces of the file `encoded` with its metadata added.

    Raises:
        FormatError: a part of it is too large for JPEG.
    """
    start = 2
    pieces: list[bytes | memoryview] = [encoded[:2]]
    if encoded[3] == _APP0:  # the JFIF segment has to stay the first
        start += 2 + unpack(">H", encoded, 4)[0]
        pieces.append(_with_density(encoded[2:start], metadata.density))
    segments = [_segment(_APP1, _EXIF + exif)] if exif else []
    if metadata.xmp:
        if len(_XMP + metadata.xmp) > _LARGEST_SEGMENT_BYTES:
            raise FormatError("cannot hold an XMP packet of this size as JPEG; write .png, .tif or .webp")
        segments.append(_segment(_APP1, _XMP + metadata.xmp))
    step = _LARGEST_SEGMENT_BYTES - len(_ICC) - 2
    profile = icc_profile or b""
    parts = [profile[i : i + step] for i in range(0, len(profile), step)]
    if len(parts) > 255 or len(profile) > LARGEST_PROFILE_BYTES:
        raise FormatError("cannot hold a colour profile of this size as JPEG; write .png or .tif")
    for number, part in enumerate(parts, start=1):
        segments.append(_segment(_APP2, _ICC + bytes([number, len(parts)]) + part))
    segments += [_segment(marker, content) for marker, content in metadata.jpeg_segments]
    return [*pieces, *segments, encoded[start:]]


def _with_density(segment: memoryview, density: Density | None) -> bytes | memoryview:
    """Return a JFIF segment, with this density if it fits."""
    if density is None or bytes(segment[4:9]) != _JFIF:
        return segment
    across, down = round(density.across), round(density.down)
    if not (0 < across < 1 << 16 and 0 < down < 1 << 16):
        return segment
    changed = bytearray(segment)
    struct.pack_into(">BHH", changed, 11, _UNITS.index(density.unit), across, down)
    return bytes(changed)


def _segment(marker: int, content: bytes) -> bytes:
    if len(content) > _LARGEST_SEGMENT_BYTES:
        raise FormatError("cannot hold an EXIF block of this size as JPEG; write .png, .tif or .webp")
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
