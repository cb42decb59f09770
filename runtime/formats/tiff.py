"""TIFF: what OpenCV may be given to decode and how, and a writer (TIFF 6.0, BigTIFF for reading).

OpenCV's decoder turns pictures by itself, multiplies some by their alpha, inverts only some of those whose
zero is white, and misreads several kinds without a word, differently from version to version. So the tags
that it would act on are made neutral in memory before it sees them, and what it misreads is refused.
Why a writer of its own: it takes RGB in bands as it is, marks the alpha as alpha, and puts the colour
profile and the EXIF directories into the same file at once.
"""

from __future__ import annotations

import struct
import sys
import zlib
from typing import BinaryIO

import numpy as np

from . import exif as tags
from .exif import LONG, ORIENTATION, SHORT, UNDEFINED, Directory, Entry, Order, Structure
from .header import FormatError, Header

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES = 273, 277, 278, 279
_PLANES, _PREDICTOR, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _ICC_PROFILE = 284, 317, 338, 339, 34675

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_PREMULTIPLIED, _STRAIGHT = 1, 2  # values of ExtraSamples
_UNSIGNED, _FLOAT = 1, 3  # values of SampleFormat
_KINDS = {_UNSIGNED: "unsigned", 2: "signed", _FLOAT: "floating-point"}
_NOT_COMPRESSED, _DEFLATE = 1, 8
_DIFFERENCES = 2  # the predictor that stores each sample less its left neighbour's

_STRIP_SIZE_BYTES = 1 << 20
_MOST_PAGES = 64  # a chain of pages is followed this far


def read_header(data: memoryview) -> Header:
    """Read the first directory of `data`, and make neutral there what OpenCV would act on.

    Args:
        data: the file, writable.
    """
    structure = tags.read_structure(data)
    entries, following = tags.read_directory(data, structure, structure.first)
    value = _first_values(entries, structure)
    header = Header("TIFF")
    extra = _check_supported(entries, structure, value)
    header.is_inverted = value[_PHOTOMETRIC] == _WHITE_IS_ZERO
    header.is_premultiplied = extra == _PREMULTIPLIED
    header.has_more_pictures = _has_more_pages(data, structure, following)
    header.icc_profile = bytes(entries[_ICC_PROFILE].value) if _ICC_PROFILE in entries else None
    try:
        description = tags.read_description(data, structure, entries)
        header.exif = tags.write_block(description, structure.order)
    except FormatError:
        header.dropped.append("EXIF block")
        turned = {ORIENTATION: entries[ORIENTATION]} if ORIENTATION in entries else {}
        header.exif = tags.write_block(dict(turned), structure.order)

    neutral = {ORIENTATION: 1}
    if header.is_inverted:
        neutral[_PHOTOMETRIC] = _BLACK_IS_ZERO
    if extra is not None:
        neutral[_EXTRA_SAMPLES] = _PREMULTIPLIED  # libtiff then leaves the colours alone
    for tag, number in neutral.items():
        if tag in value:
            tags.overwrite_integer(data, structure, entries[tag], number)
    return header


def _first_values(entries: dict[int, Entry], structure: Structure) -> dict[int, int]:
    values = {tag: entry.integers(structure.order) for tag, entry in entries.items() if entry.count <= 16}
    return {tag: numbers[0] for tag, numbers in values.items() if numbers}


def _check_supported(entries: dict[int, Entry], structure: Structure, value: dict[int, int]) -> int | None:
    """Refuse what OpenCV cannot read or misreads.

    Returns:
        What the fourth sample means (a value of ExtraSamples), or None when there is none that says so.
    """
    photometric = value.get(_PHOTOMETRIC)
    if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR):
        raise FormatError("is a TIFF file of another colour space (CMYK, Lab, raw, …); convert it to RGB")
    bits, samples, kind = value.get(_BITS, 1), value.get(_SAMPLES, 1), value.get(_SAMPLE_FORMAT, _UNSIGNED)
    if len({*_all_values(entries, structure, _BITS)}) > 1:
        raise FormatError("is a TIFF file whose channels differ in depth; convert it to 8 or 16 bit")
    depth_is_read = (kind, bits) in {(_UNSIGNED, 8), (_UNSIGNED, 16), (_FLOAT, 32)}
    if photometric in (_PALETTE, _YCBCR):
        depth_is_read = (kind, bits) == (_UNSIGNED, 8)
    if not depth_is_read and not ((kind, bits) in {(_UNSIGNED, 1), (_UNSIGNED, 4)} and samples == 1):
        raise FormatError(
            f"is a TIFF file with {bits}-bit {_KINDS.get(kind, 'unknown')} samples; "
            "convert it to 8 or 16 bit, unsigned, or to 32-bit floating point"
        )
    colours = 3 if photometric in (_RGB, _YCBCR) else 1
    if samples not in ((3, 4) if colours == 3 else (1,)):
        raise FormatError(f"is a TIFF file of {samples} channels; convert it to grey, RGB or RGB with alpha")
    if value.get(_PLANES, 1) != 1 and bits > 8 and samples > 1:
        raise FormatError("is a TIFF file whose channels are stored apart; convert it to interleaved ones")
    return value.get(_EXTRA_SAMPLES) if samples == 4 else None


def _all_values(entries: dict[int, Entry], structure: Structure, tag: int) -> tuple[int, ...]:
    return entries[tag].integers(structure.order) if tag in entries else ()


def _has_more_pages(data: memoryview, structure: Structure, offset: int) -> bool:
    for _ in range(_MOST_PAGES):
        if not offset:
            return False
        try:
            entries, offset = tags.read_directory(data, structure, offset)
        except FormatError:
            return False
        if not _first_values(entries, structure).get(_SUBFILE, 0) & 1:  # 1: a smaller copy, a thumbnail
            return True
    return False


def write(
    file: BinaryIO,
    pixels: np.ndarray,
    alpha: np.ndarray | None,
    *,
    exif: bytes | None,
    icc_profile: bytes | None,
) -> None:
    """Write a TIFF file: integers compressed without loss (Deflate), floating point as it is.

    Args:
        file: where to, empty and seekable.
        pixels: (H, W, 1 or 3), uint8, uint16 or float32.
        alpha: (H, W), same dtype, or None. Grey pixels are then written as RGB, for few programs read
            grey with alpha from TIFF.
        exif, icc_profile: what to put in.

    Raises:
        FormatError: it would exceed the 4 GB of a TIFF file.
    """
    # The file takes the byte order of its EXIF block, whose values then go over as they are.
    order: Order = "<" if sys.byteorder == "little" else ">"
    description: Directory = {}
    if exif:
        structure = tags.read_structure(memoryview(exif))
        order = structure.order
        entries, _ = tags.read_directory(memoryview(exif), structure, structure.first)
        description = tags.read_description(memoryview(exif), structure, entries)
    height, width, channels = pixels.shape
    samples = channels if alpha is None else 4
    rows = max(1, _STRIP_SIZE_BYTES // (width * samples * pixels.itemsize))

    file.write(struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 0))
    offsets, lengths = [], []
    for top in range(0, height, rows):
        strip = _strip(pixels[top : top + rows], None if alpha is None else alpha[top : top + rows], order)
        offsets.append(file.tell())
        lengths.append(file.write(strip))
    file.write(b"\0" * (file.tell() % 2))

    is_float = pixels.dtype == np.float32
    numbers = {
        _WIDTH: (LONG, [width]),
        _HEIGHT: (LONG, [height]),
        _BITS: (SHORT, [8 * pixels.itemsize] * samples),
        _COMPRESSION: (SHORT, [_NOT_COMPRESSED if is_float else _DEFLATE]),
        _PHOTOMETRIC: (SHORT, [_BLACK_IS_ZERO if samples == 1 else _RGB]),
        _SAMPLES: (SHORT, [samples]),
        _ROWS_PER_STRIP: (LONG, [rows]),
        _PLANES: (SHORT, [1]),
        _SAMPLE_FORMAT: (SHORT, [_FLOAT if is_float else _UNSIGNED] * samples),
    }
    if not is_float:
        numbers[_PREDICTOR] = (SHORT, [_DIFFERENCES])
    if alpha is not None:
        numbers[_EXTRA_SAMPLES] = (SHORT, [_STRAIGHT])
    directory = description | {tag: _entry(order, *entry) for tag, entry in numbers.items()}
    directory[_STRIP_OFFSETS] = _entry(order, LONG, offsets)
    directory[_STRIP_BYTES] = _entry(order, LONG, lengths)
    if icc_profile:
        directory[_ICC_PROFILE] = Entry(UNDEFINED, len(icc_profile), icc_profile)
    first = file.tell()
    file.write(tags.write_directory(directory, order, first))
    file.seek(4)
    file.write(struct.pack(order + "I", first))


def _entry(order: str, kind: int, numbers: list[int]) -> Entry:
    try:
        value = struct.pack(f"{order}{len(numbers)}{'H' if kind == SHORT else 'I'}", *numbers)
    except struct.error as error:
        raise FormatError("cannot hold more than 4 GB as TIFF; write .png, or smaller images") from error
    return Entry(kind, len(numbers), value)


def _strip(pixels: np.ndarray, alpha: np.ndarray | None, order: Order) -> bytes:
    if alpha is not None:
        colours = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
        pixels = np.concatenate([colours, alpha[:, :, None]], axis=2)
    if pixels.dtype == np.float32:
        return np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder(order)).tobytes()
    differences = np.empty(pixels.shape, pixels.dtype.newbyteorder(order))
    differences[:, :1] = pixels[:, :1]
    np.subtract(pixels[:, 1:], pixels[:, :-1], out=differences[:, 1:])
    # Differences of a photograph are noise around zero: run lengths and Huffman codes say all there is.
    compressor = zlib.compressobj(1, strategy=zlib.Z_RLE)
    return compressor.compress(differences.data) + compressor.flush()
