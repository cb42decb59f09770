"""Read and write directories of tags, which TIFF files and EXIF blocks share (TIFF 6.0, EXIF 2.32).

A *block* is an EXIF block as JPEG, PNG and WebP contain it: a small TIFF structure.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from .header import LARGEST_PROFILE_BYTES, FormatError, cut, unpack

ORIENTATION = 274
SHORT, LONG, UNDEFINED, LONG8, IFD8 = 3, 4, 7, 16, 18

# type → bytes per value: BYTE, ASCII, SHORT, LONG, RATIONAL, SBYTE, UNDEFINED, SSHORT, SLONG, SRATIONAL,
# FLOAT, DOUBLE, IFD, and BigTIFF's LONG8, SLONG8, IFD8
_VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_BIG_VALUE_BYTES = _VALUE_BYTES | {16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}

# Tags of a first directory that describe an image, not how it is stored: description, make, model,
# orientation, resolution (3), software, date, artist, host, rating (2), copyright, and Windows' own (5).
_DESCRIPTIVE = {
    270,
    271,
    272,
    274,
    282,
    283,
    296,
    305,
    306,
    315,
    316,
    18246,
    18249,
    33432,
    *range(40091, 40096),
}
# The EXIF directory, which may contain the interoperability directory, and the GPS directory
_SUBDIRECTORIES: dict[int, dict] = {34665: {40965: {}}, 34853: {}}


Order = Literal["<", ">"]


@dataclass(frozen=True)
class Structure:
    """The layout of a file's directories."""

    order: Order  # little-endian or big-endian, in the notation of `struct`
    is_big: bool  # BigTIFF: 64-bit offsets
    first: int  # offset of the first directory


@dataclass(frozen=True)
class Entry:
    """The raw values of a tag, in the byte order of their structure."""

    kind: int
    count: int
    value: bytes | memoryview
    offset: int = 0  # of the value in the data

    def integers(self, order: Order) -> tuple[int, ...]:
        """Return the values of an unsigned integer type; of other types none."""
        letter = _INTEGERS.get(self.kind)
        return struct.unpack(f"{order}{self.count}{letter}", self.value) if letter else ()

    def swapped(self) -> Entry:
        """Return it in the other byte order."""
        size = {5: 4, 10: 4}.get(self.kind, _BIG_VALUE_BYTES.get(self.kind, 1))  # fractions are two numbers
        value = bytes(self.value)
        pieces = (value[i : i + size][::-1] for i in range(0, len(value), size))
        return Entry(self.kind, self.count, b"".join(pieces))


Directory = dict[int, "Entry | Directory"]


def read_structure(data: memoryview) -> Structure:
    """Read the first bytes of a TIFF file or an EXIF block.

    Raises:
        FormatError: the data is neither.
    """
    orders: dict[bytes, Order] = {b"II": "<", b"MM": ">"}
    order = orders.get(bytes(data[:2]))
    if order is None:
        raise FormatError("is damaged: it does not start like a TIFF structure")
    (version,) = unpack(order + "H", data, 2)
    if version == 42:
        return Structure(order, False, *unpack(order + "I", data, 4))
    if version == 43:
        return Structure(order, True, *unpack(order + "Q", data, 8))
    raise FormatError("is damaged: it does not start like a TIFF structure")


def read_directory(data: memoryview, structure: Structure, offset: int) -> tuple[dict[int, Entry], int]:
    """Return the entries of the directory at `offset`, and the next offset; skip values outside the data.

    Raises:
        FormatError: the directory itself is outside the data.
    """
    count_format, size, width = ("Q", 20, 8) if structure.is_big else ("H", 12, 4)
    word = structure.order + ("Q" if structure.is_big else "I")
    value_bytes = _BIG_VALUE_BYTES if structure.is_big else _VALUE_BYTES
    (count,) = unpack(structure.order + count_format, data, offset)
    start = offset + struct.calcsize(count_format)
    table = cut(data, start, count * size)
    entries: dict[int, Entry] = {}
    for position in range(0, len(table), size):
        tag, kind = unpack(structure.order + "HH", table, position)
        (number,) = unpack(word, table, position + 4)
        length = value_bytes.get(kind, 0) * number
        inside = position + 4 + width
        where = start + inside if length <= width else unpack(word, table, inside)[0]
        if length and where + length <= len(data):
            entries.setdefault(tag, Entry(kind, number, data[where : where + length], where))
    (following,) = unpack(word, data, start + len(table))
    return entries, following


def orientation(block: bytes) -> int:
    """Return the EXIF orientation of a block, 1..8; 1 if it is absent or invalid.

    Raises:
        FormatError: the block is damaged.
    """
    view = memoryview(block)
    structure = read_structure(view)
    entries, _ = read_directory(view, structure, structure.first)
    return orientation_of(entries, structure)


def orientation_of(entries: dict[int, Entry], structure: Structure) -> int:
    """Return the orientation in a first directory, 1..8."""
    values = entries[ORIENTATION].integers(structure.order) if ORIENTATION in entries else ()
    return values[0] if len(values) == 1 and 1 <= values[0] <= 8 else 1


def make_upright(block: bytes) -> bytes:
    """Return the block for an image that has been turned upright: orientation 1.

    A thumbnail, which is not turned with the image, is unlinked.
    """
    if orientation(block) == 1:
        return block
    changed = memoryview(bytearray(block))
    structure = read_structure(changed)
    entries, following = read_directory(changed, structure, structure.first)
    overwrite_integer(changed, structure, entries[ORIENTATION], 1)
    if following and not structure.is_big:
        count = unpack(structure.order + "H", changed, structure.first)[0]
        struct.pack_into(structure.order + "I", changed, structure.first + 2 + 12 * count, 0)
    return bytes(changed)


def overwrite_integer(data: memoryview, structure: Structure, entry: Entry, value: int) -> None:
    """Replace the first value of an entry."""
    struct.pack_into(structure.order + _INTEGERS[entry.kind], data, entry.offset, value)


def overwrite_first(data: memoryview, structure: Structure, offset: int) -> None:
    """Make the directory at `offset` the first one."""
    struct.pack_into(
        structure.order + ("Q" if structure.is_big else "I"), data, 8 if structure.is_big else 4, offset
    )


def read_description(data: memoryview, structure: Structure, entries: dict[int, Entry]) -> Directory:
    """Return the descriptive tags of a first directory, with its EXIF and GPS directories.

    Values outside the data are left out.
    """
    described: Directory = {tag: entry for tag, entry in entries.items() if tag in _DESCRIPTIVE}
    return described | _read_subdirectories(data, structure, entries, _SUBDIRECTORIES)


def _read_subdirectories(
    data: memoryview, structure: Structure, entries: dict[int, Entry], tags: dict[int, dict]
) -> Directory:
    directories: Directory = {}
    for tag, inner_tags in tags.items():
        pointers = entries[tag].integers(structure.order) if tag in entries else ()
        if len(pointers) == 1:
            try:
                inner, _ = read_directory(data, structure, pointers[0])
            except FormatError:
                continue  # like a value outside the data
            known = {t: e for t, e in inner.items() if e.kind in _VALUE_BYTES and t not in inner_tags}
            directories[tag] = known | _read_subdirectories(data, structure, inner, inner_tags)
    return directories


def write_block(description: Directory, order: Order) -> bytes | None:
    """Return a description as an EXIF block; None if it is empty.

    Raises:
        FormatError: it is larger than any real one.
    """
    if not description:
        return None
    return _start(order, 8) + write_directory(description, order, 8)


def _start(order: Order, first: int) -> bytes:
    return struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, first)


def write_directory(directory: Directory, order: Order, start: int, *, is_big: bool = False) -> bytes:
    """Return the bytes of a directory with its values and subdirectories, for an even offset `start`.

    Args:
        directory: its values are in the byte order `order`.
        order: byte order of the file.
        start: offset of the directory in the file.
        is_big: for a BigTIFF file.

    Raises:
        FormatError: it is larger than any real one, or beyond the reach of 32-bit offsets.
    """
    count, word, pointer, width = ("Q", "Q", IFD8, 8) if is_big else ("H", "I", LONG, 4)
    table = bytearray(struct.pack(order + count, len(directory)))
    tail = bytearray()
    tail_start = start + len(table) + (4 + 2 * width) * len(directory) + width
    for tag, entry in sorted(directory.items()):
        tail += b"\0" * (len(tail) % 2)
        offset = tail_start + len(tail)
        if isinstance(entry, dict):
            tail += write_directory(entry, order, offset, is_big=is_big)
            table += struct.pack(f"{order}HH{word}{word}", tag, pointer, 1, offset)
            continue
        table += struct.pack(order + "HH" + word, tag, entry.kind, entry.count)
        if len(entry.value) <= width:
            table += bytes(entry.value).ljust(width, b"\0")
        else:
            tail += entry.value
            table += struct.pack(order + word, offset)
        if len(tail) > 2 * LARGEST_PROFILE_BYTES:
            raise FormatError("has metadata of an impossible size")
    return bytes(table + b"\0" * width + tail)
