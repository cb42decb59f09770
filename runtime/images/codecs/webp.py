"""Read and write the RIFF chunks of a WebP file (RFC 9649).

OpenCV keeps EXIF blocks and colour profiles only from 5.0 on.
"""

from __future__ import annotations

import struct

from .header import FormatError, Header, cut, unpack
from .metadata import Metadata

MAGIC = b"RIFF"

_ANIMATION, _XMP, _EXIF, _ALPHA, _ICC = 0x02, 0x04, 0x08, 0x10, 0x20  # flags of a VP8X chunk


def read_header(data: memoryview) -> Header:
    """Read the chunks; one that is cut short is a FormatError."""
    header = Header("WebP")
    (size,) = unpack("<I", data, 4)
    body = cut(data, 8, size)
    position = 4
    has_alpha = True  # until a VP8X chunk says that there is none
    while position < len(body):
        kind, length = bytes(cut(body, position, 4)), unpack("<I", body, position + 4)[0]
        chunk = cut(body, position + 8, length)
        position += 8 + length + length % 2
        if kind == b"VP8X" and length:
            header.has_more_images = bool(chunk[0] & _ANIMATION)
            has_alpha = bool(chunk[0] & (_ALPHA | _ANIMATION))
        elif not has_alpha and (kind == b"ALPH" or (kind == b"VP8L" and unpack("B", chunk, 4)[0] & 0x10)):
            header.damage.append("it has transparency that its header denies, and that is left out")
        elif kind == b"ICCP":
            header.icc_profile = bytes(chunk)
        elif kind == b"EXIF":
            prefix = 6 if chunk[:6] == b"Exif\0\0" else 0  # some writers copy it out of a JPEG segment
            header.exif = bytes(chunk[prefix:])
        elif kind == b"XMP ":
            header.metadata = Metadata(xmp=bytes(chunk))
    return header


def embed(
    encoded: memoryview,
    size_px: tuple[int, int],
    *,
    has_alpha: bool,
    exif: bytes | None,
    icc_profile: bytes | None,
    xmp: bytes | None,
) -> list[bytes | memoryview]:
    """Return the pieces of the file `encoded`, `size_px` high and wide, with its metadata added.

    Raises:
        FormatError: they are too large for WebP.
    """
    if not exif and not icc_profile and not xmp:
        return [encoded]
    pixels = encoded[12:]
    if bytes(pixels[:4]) == b"VP8X":
        pixels = pixels[18:]
    flags = (_EXIF if exif else 0) | (_ICC if icc_profile else 0) | (_ALPHA if has_alpha else 0)
    flags |= _XMP if xmp else 0
    height, width = size_px
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    pieces: list[bytes | memoryview] = [_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + canvas)]
    if icc_profile:
        pieces.append(_chunk(b"ICCP", icc_profile))
    pieces.append(pixels)
    if exif:
        pieces.append(_chunk(b"EXIF", exif))
    if xmp:
        pieces.append(_chunk(b"XMP ", xmp))
    size = 4 + sum(map(len, pieces))
    if size >= 1 << 32:
        raise FormatError("cannot hold this much as WebP; write .png or .tif")
    return [struct.pack("<4sI4s", MAGIC, size, b"WEBP"), *pieces]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(content)) + content + b"\0" * (len(content) % 2)
