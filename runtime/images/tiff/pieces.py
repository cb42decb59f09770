"""Check that a TIFF file contains all strips or tiles that its size needs, and that Deflate's checksums hold.

Decoders leave out a piece that is missing, and OpenCV's does not compare checksums.
"""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

from ...system.memory import usable_cores
from ..codecs.exif import Order
from ..codecs.header import FormatError
from . import tags as t
from .pages import Page

# compression → how many times as large as its data a piece can be
_LARGEST_RATIO = {t.NOT_COMPRESSED: 1, t.LZW: 4096, t.PACKBITS: 128, t.DEFLATE: 1100, t.OLD_DEFLATE: 1100}
_HEADER_BYTES = 8  # no piece begins within it; an offset of 0 marks one that is missing
_FLUSHED = b"\0\0\xff\xff"  # end of data after Z_SYNC_FLUSH
_AT_ONCE_BYTES = 1 << 16  # of compressed data


@dataclass(frozen=True)
class Pieces:
    """The strips or tiles of an image.

    Attributes:
        name: "strips" or "tiles".
        offsets, lengths: of their data in the file.
        size_bytes: of a whole one, decoded; None for subsampled colours. The last strips may be smaller.
        last_bytes: of the last strip of each plane, or of any tile, decoded.
        in_plane: number of pieces in a plane.
    """

    name: str
    offsets: tuple[int, ...]
    lengths: tuple[int, ...]
    size_bytes: int | None
    last_bytes: int | None
    in_plane: int

    def decoded_bytes(self, number: int) -> int | None:
        """Return the size of a piece, decoded; None if unknown."""
        return self.last_bytes if number % self.in_plane == self.in_plane - 1 else self.size_bytes


def find_pieces(page: Page, order: Order, file_bytes: int) -> Pieces:
    """Return the strips or tiles of an image.

    Raises:
        FormatError: some are missing or outside the file.
    """
    value = page.value
    height, width = value.get(t.HEIGHT, 0), value.get(t.WIDTH, 0)
    if not height or not width:
        raise FormatError("is damaged: it has no size")
    samples = value.get(t.SAMPLES, 1)
    planes = samples if value.get(t.PLANES, 1) == 2 else 1
    is_tiled = t.TILE_WIDTH in value or t.TILE_OFFSETS in page.entries
    if is_tiled:
        rows, columns = value.get(t.TILE_HEIGHT, 0), value.get(t.TILE_WIDTH, 0)
        tags = t.TILE_OFFSETS, t.TILE_BYTES
    else:
        rows, columns = min(value.get(t.ROWS_PER_STRIP, height), height), width
        tags = t.STRIP_OFFSETS, t.STRIP_BYTES
    if not rows or not columns:
        raise FormatError("is damaged: its strips or tiles have no size")
    row_bytes = (columns * (samples // planes) * value.get(t.BITS, 1) + 7) // 8
    in_plane = -(-height // rows) * -(-width // columns)
    last_rows = rows if is_tiled else height - (in_plane - 1) * rows
    is_known = value.get(t.PHOTOMETRIC) != t.YCBCR
    name = "tiles" if is_tiled else "strips"
    count = in_plane * planes
    offsets, lengths = (t.all_values(page.entries, order, tag) for tag in tags)
    if not lengths and count == 1 and value.get(t.COMPRESSION, 1) == t.NOT_COMPRESSED:
        lengths = (rows * row_bytes,)  # some old programs leave it out
    found = sum(
        1
        for offset, length in zip(offsets[:count], lengths, strict=False)
        if length and _HEADER_BYTES <= offset < file_bytes
    )
    if found < count:
        raise FormatError(f"is damaged: it has {found} of the {count} {name} that its size needs")
    if any(o + n > file_bytes for o, n in zip(offsets[:count], lengths, strict=False)):
        raise FormatError("is cut short")
    pieces = Pieces(
        name,
        offsets[:count],
        lengths[:count],
        rows * row_bytes if is_known else None,
        last_rows * row_bytes if is_known else None,
        in_plane,
    )
    if value.get(t.COMPRESSION, 1) == t.NOT_COMPRESSED and value.get(t.PREDICTOR, 1) != 1:
        raise FormatError("is damaged: it has a predictor and no compression")  # decoders differ
    if ratio := _LARGEST_RATIO.get(value.get(t.COMPRESSION, t.NOT_COMPRESSED)):
        for number, length in enumerate(pieces.lengths):
            if length * ratio < (pieces.decoded_bytes(number) or 0):
                raise FormatError(f"is damaged: {name[:-1]} {number + 1} of {count} is too short")
    return pieces


def check_deflate(data: memoryview, pieces: Pieces) -> None:
    """Decompress all pieces of a file compressed by Deflate, and forget them.

    Raises:
        FormatError: one is damaged or too short.
    """
    count = len(pieces.offsets)
    with ThreadPoolExecutor(usable_cores(), "tiff") as pool:
        numbers = iter(range(count))
        check = partial(_is_whole, data, pieces)
        while group := list(islice(numbers, 256)):
            for number, is_whole in zip(group, pool.map(check, group), strict=True):
                if not is_whole:
                    raise FormatError(f"is damaged: {pieces.name[:-1]} {number + 1} of {count}")


def _is_whole(data: memoryview, pieces: Pieces, number: int) -> bool:
    start, length = pieces.offsets[number], pieces.lengths[number]
    decompressor = zlib.decompressobj()
    decoded_bytes = 0
    end = start + length
    try:
        for at in range(start, end, _AT_ONCE_BYTES):
            decoded_bytes += len(decompressor.decompress(data[at : min(at + _AT_ONCE_BYTES, end)]))
            if decompressor.eof:
                break
    except zlib.error:
        return False
    # Without its end the checksum was not compared; some programs flush the data and leave the end out.
    is_complete = decompressor.eof or data[end - len(_FLUSHED) : end] == _FLUSHED
    return is_complete and decoded_bytes >= (pieces.decoded_bytes(number) or 0)
