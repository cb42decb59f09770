"""Read and write the segments of a JPEG file (ITU-T T.81 annex B, EXIF 2.32, ICC.1 annex B.4).

OpenCV keeps EXIF blocks and colour profiles only from 5.0 on.
"""

from __future__ import annotations

import re
import struct

from .header import LARGEST_PROFILE_BYTES, FormatError, Header, cut, unpack

MAGIC = b"\xff\xd8\xff"

_END, _START_OF_SCAN, _APP0, _APP1, _APP2 = 0xD9, 0xDA, 0xE0, 0xE1, 0xE2
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame, of every coding
_EXIF = b"Exif\0\0"
_ICC = b"ICC_PROFILE\0"
_LARGEST_SEGMENT_BYTES = 65533
# Within compressed data 0xFF is followed by 0 or by a restart marker, so the next match is a segment.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")


def read_header(data: memoryview) -> Header:
    """Read the segments up to the end-of-image marker, which a truncated file lacks."""
    header = Header("JPEG")
    profile: dict[int, bytes] = {}
    profile_parts = 0
    components = 0
    position = 2
    while True:
        match = _MARKER.search(data, position)
        if match is None:
            raise FormatError("is cut short")
        marker, start = data[match.start() + 1], match.end()
        if marker == _END:
            break
        (length,) = unpack(">H", data, start)
        segment = cut(data, start + 2, max(length - 2, 0))
        position = start + 2 + len(segment)
        if marker in _FRAMES:
            (components,) = unpack("B", segment, 5)  # after the depth, the height and the width
            if components == 4:
                raise FormatError("is a CMYK image; convert it to RGB")
        elif marker == _APP1 and segment[:6] == _EXIF and header.exif is None:
            header.exif = bytes(segment[6:])
        elif marker == _APP2 and segment[:12] == _ICC and len(segment) > 14:
            profile[segment[12]] = bytes(segment[14:])
            profile_parts = segment[13]
    if not components:
        raise FormatError("is damaged: it has no image")
    if profile:
        if sorted(profile) == list(range(1, profile_parts + 1)):
            header.icc_profile = b"".join(profile[part] for part in sorted(profile))
        else:
            header.dropped.append("colour profile")
    return header


def embed(encoded: memoryview, *, exif: bytes | None, icc_profile: bytes | None) -> list[bytes | memoryview]:
    """Return the pieces of the file `encoded` with an EXIF block and a colour profile added.

    Raises:
        FormatError: one of them is too large for JPEG.
    """
    start = 2
    if encoded[3] == _APP0:  # the JFIF segment has to stay the first
        start += 2 + unpack(">H", encoded, 4)[0]
    segments = [_segment(_APP1, _EXIF + exif)] if exif else []
    step = _LARGEST_SEGMENT_BYTES - len(_ICC) - 2
    profile = icc_profile or b""
    parts = [profile[i : i + step] for i in range(0, len(profile), step)]
    if len(parts) > 255 or len(profile) > LARGEST_PROFILE_BYTES:
        raise FormatError("cannot hold a colour profile of this size as JPEG; write .png or .tif")
    for number, part in enumerate(parts, start=1):
        segments.append(_segment(_APP2, _ICC + bytes([number, len(parts)]) + part))
    return [encoded[:start], *segments, encoded[start:]]


def _segment(marker: int, content: bytes) -> bytes:
    if len(content) > _LARGEST_SEGMENT_BYTES:
        raise FormatError("cannot hold an EXIF block of this size as JPEG; write .png, .tif or .webp")
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
