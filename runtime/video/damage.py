"""Find damage in compressed frames that FFmpeg's decoders do not report."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

# Compressed data never contains so many zeros: they are blocks of a file that were not written or were lost.
_HOLE = bytes(256)
_HOLE_IN_NAL_UNITS = re.compile(rb"\0{256}[^\0\1]")  # there may be zeros before a start code
_START_CODES = (b"\0\0\1", b"\0\0\0\1")

_REVERSED_BITS = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_FFV1_TRAILER = 8  # bytes of a slice: 3 for its size, a state, 4 of CRC
_NO_REMAINDER = 0xFFFFFFFF


class PacketCheck:
    """Checks the packets of a video by what a codec allows to check without decoding them.

    Attributes:
        is_reliable: False as long as all packets are damaged: some cameras leave the end marker out of every
            JPEG frame, and not every encoder writes checksums.

    Args:
        codec: FFmpeg's name.
        extradata: of the codec.
    """

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        self._is_whole = _check_of(codec, extradata)
        self._needs_a_whole_one = codec in ("mjpeg", "ffv1")
        self.is_reliable = not self._needs_a_whole_one

    def is_damaged(self, data: bytes) -> bool:
        """Return True if a packet is damaged, or lacks what would show that it is whole."""
        if self._is_whole is None or not data:
            return False
        is_whole = self._is_whole(data)
        self.is_reliable |= is_whole
        return not is_whole


def _check_of(codec: str, extradata: bytes | None) -> Callable[[bytes], bool] | None:
    if codec in ("h264", "hevc", "vvc"):
        has_start_codes = not extradata or extradata.startswith(_START_CODES)
        return _has_no_hole_in_nal_units if has_start_codes else _has_no_hole
    return {
        "mjpeg": _is_complete_jpeg,
        "ffv1": _has_right_checksums,
        "vp8": _has_no_hole,
        "vp9": _has_no_hole,
        "av1": _has_no_hole,
        "libdav1d": _has_no_hole,
    }.get(codec)


def _has_no_hole(data: bytes) -> bool:
    return _HOLE not in data


def _has_no_hole_in_nal_units(data: bytes) -> bool:
    return _HOLE_IN_NAL_UNITS.search(data) is None


def _is_complete_jpeg(data: bytes) -> bool:
    return data[-64:].rstrip(b"\0\xff").endswith(b"\xd9")


def _has_right_checksums(data: bytes) -> bool:
    """Check the CRC-32 of each slice of an FFV1 frame; it takes the highest bit first, zlib the lowest."""
    end = len(data)
    while end:
        start = end - int.from_bytes(data[end - _FFV1_TRAILER : end - 5], "big") - _FFV1_TRAILER
        if start < 0:
            return False
        if zlib.crc32(data[start:end].translate(_REVERSED_BITS), _NO_REMAINDER) != _NO_REMAINDER:
            return False
        end = start
    return True
