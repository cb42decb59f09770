"""Read BMP files with the headers of OS/2 and of Windows up to version 5, of any depth and bit masks.

OpenCV takes the unused byte of 32-bit files for alpha, heeds no bit masks, and reads 5 bits as 0..248.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .bmp_rle import decode_rle
from .header import FormatError, Header, cut, unpack

MAGIC = b"BM"

_FILE_HEADER_BYTES = 14
_CORE, _INFO, _WITH_ALPHA, _V5 = 12, 40, 56, 124  # sizes of headers
_RGB, _RLE8, _RLE4, _BIT_FIELDS, _ALPHA_BIT_FIELDS = 0, 1, 2, 3, 6  # of compression
_EMBEDDED = b"DEBM"  # colour space: a profile in the file
_MOST_PIXELS = 1 << 30
# (bits, compression) → masks of red, green, blue and alpha
_MASKS = {16: (0x7C00, 0x03E0, 0x001F, 0), 32: (0xFF0000, 0x00FF00, 0x0000FF, 0)}


@dataclass(frozen=True)
class _Layout:
    width: int
    height: int
    is_top_down: bool
    bits: int
    compression: int
    start: int  # of the pixels
    palette: np.ndarray  # (N, 3) uint8, BGR
    masks: tuple[int, ...]  # red, green, blue, alpha


def read_header(data: memoryview) -> Header:
    """Read the header, with the colour profile of version 5."""
    _read_layout(data)
    header = Header("BMP")
    (size,) = unpack("<I", data, _FILE_HEADER_BYTES)
    if size >= _V5 and bytes(data[_FILE_HEADER_BYTES + 56 :][:4]) == _EMBEDDED:
        offset, length = unpack("<II", data, _FILE_HEADER_BYTES + 112)
        header.icc_profile = bytes(cut(data, _FILE_HEADER_BYTES + offset, length))
    return header


def decode(data: memoryview) -> np.ndarray:
    """Return the pixels, uint8: (H, W) where the palette is grey, (H, W, 3) BGR, or (H, W, 4) BGRA.

    Alpha that is 0 everywhere is unused, and alpha that is 255 everywhere is left out.
    """
    layout = _read_layout(data)
    if layout.compression in (_RLE8, _RLE4):
        indices = decode_rle(data[layout.start :], layout.height, layout.width, layout.bits)
        return _by_palette(indices[::-1], layout.palette)
    row_bytes = (layout.width * layout.bits + 31) // 32 * 4
    rows = np.frombuffer(cut(data, layout.start, row_bytes * layout.height), np.uint8)
    rows = rows.reshape(layout.height, row_bytes)
    rows = rows if layout.is_top_down else rows[::-1]
    if layout.bits <= 8:
        return _by_palette(_unpacked(rows, layout.bits)[:, : layout.width], layout.palette)
    if layout.bits == 24:
        return np.ascontiguousarray(rows[:, : 3 * layout.width]).reshape(layout.height, layout.width, 3)
    words = np.ascontiguousarray(rows).view("<u2" if layout.bits == 16 else "<u4")[:, : layout.width]
    red, green, blue, alpha = (_field(words, mask) for mask in layout.masks)
    if layout.masks[3] and alpha.any() and alpha.min() < 255:
        return np.stack([blue, green, red, alpha], axis=2)
    return np.stack([blue, green, red], axis=2)


def _read_layout(data: memoryview) -> _Layout:
    start, size = unpack("<II", data, 10)
    compression, colours = _RGB, 0
    if size == _CORE:
        width, height, _, bits = unpack("<HHHH", data, 18)
    elif size >= _INFO:
        width, height, _, bits, compression = unpack("<iiHHI", data, 18)
        (colours,) = unpack("<I", data, 46)
    else:
        raise FormatError("is damaged, or a kind of BMP that is not read; convert it to PNG")
    is_top_down, height = height < 0, abs(height)
    allowed = {_RGB: (1, 2, 4, 8, 16, 24, 32), _RLE8: (8,), _RLE4: (4,), _BIT_FIELDS: (16, 32),
               _ALPHA_BIT_FIELDS: (16, 32)}  # fmt: skip
    if bits not in allowed.get(compression, ()):
        raise FormatError(f"is a BMP file of {bits} bits and compression {compression}; convert it to PNG")
    if width <= 0 or not height or width * height > _MOST_PIXELS:
        raise FormatError(f"is damaged: its size is {width}×{height} px")
    if is_top_down and compression in (_RLE8, _RLE4):
        raise FormatError("is damaged: run lengths are stored from the bottom")
    end = _FILE_HEADER_BYTES + size
    masks = _MASKS.get(bits, (0, 0, 0, 0))
    if compression in (_BIT_FIELDS, _ALPHA_BIT_FIELDS):
        has_alpha = size >= _WITH_ALPHA or compression == _ALPHA_BIT_FIELDS
        masks = (*unpack("<III", data, 54), unpack("<I", data, 66)[0] if has_alpha else 0)
        end = max(end, 70 if has_alpha else 66)
        _check_masks(masks, bits)
    if start < end:
        raise FormatError("is damaged: its pixels begin within its header")
    entry = 3 if size == _CORE else 4
    palette = np.zeros((0, 3), np.uint8)
    if bits <= 8:
        count = min(colours or 1 << bits, 1 << bits, max(0, start - end) // entry)
        palette = np.frombuffer(cut(data, end, count * entry), np.uint8).reshape(count, entry)[:, :3]
    return _Layout(width, height, is_top_down, bits, compression, start, palette, masks)


def _check_masks(masks: tuple[int, ...], bits: int) -> None:
    """Raise FormatError unless each mask is one group of bits, within the pixel and apart from the others."""
    taken = 0
    for mask in masks:
        lowest = mask & -mask
        if mask >> bits or mask & taken or (mask and (mask // lowest) & (mask // lowest + 1)):
            raise FormatError("is damaged: its bit masks")
        taken |= mask


def _field(words: np.ndarray, mask: int) -> np.ndarray:
    """Return the bits of a mask as 0..255, rounded to the nearest level; 0 without a mask."""
    if not mask:
        return np.zeros(words.shape, np.uint8)
    lowest = mask & -mask
    largest = mask // lowest
    values = (words & words.dtype.type(mask)) >> words.dtype.type(lowest.bit_length() - 1)
    if largest == 255:
        return values.astype(np.uint8)
    return ((values.astype(np.uint64) * 510 + largest) // (2 * largest)).astype(np.uint8)


def _unpacked(rows: np.ndarray, bits: int) -> np.ndarray:
    """Return the indices in rows of bytes; the first is in the highest bits."""
    if bits == 8:
        return rows
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    return ((rows[:, :, None] >> shifts) & ((1 << bits) - 1)).reshape(len(rows), -1)


def _by_palette(indices: np.ndarray, palette: np.ndarray) -> np.ndarray:
    if indices.max() >= len(palette):
        raise FormatError("is damaged: it has colours outside its palette")
    is_grey = (palette == palette[:, :1]).all()
    return palette[:, 0][indices] if is_grey else palette[indices]
