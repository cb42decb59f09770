"""Damage to files: to any bytes, and to the parts of a format with what surrounds them left whole."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from random import Random

_NUMBERS = [0, 1, 2, 3, 7, 8, 16, 32, 255, 256, 4096, 65535, 65536, (1 << 31) - 1, 1 << 31, (1 << 32) - 1]
_HEADER_BYTES = 64


def damage(data: bytes, random: Random) -> bytes:
    """Return a file with some damage."""
    kinds: list[Callable[[bytearray, Random], object]] = [_truncate, _flip, _flip, _zero, _header]
    if data[:4] == b"\x89PNG":
        kinds += [_png_chunk] * 3
    elif data[:2] == b"\xff\xd8":
        kinds += [_jpeg_segment] * 3
    elif data[:4] == b"RIFF":
        kinds += [_riff_size] * 2
    elif data[:2] in (b"II", b"MM"):
        kinds += [_tiff_tag] * 4
    elif data[:2] == b"BM":
        kinds += [_header] * 3
    changed = bytearray(data)
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        if len(changed) > 16:
            random.choice(kinds)(changed, random)
    return bytes(changed)


def _truncate(data: bytearray, random: Random) -> None:
    del data[random.randrange(1, len(data)) :]


def _flip(data: bytearray, random: Random) -> None:
    for _ in range(random.choice([1, 1, 2, 8])):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _zero(data: bytearray, random: Random) -> None:
    start = random.randrange(len(data))
    count = min(random.choice([1, 4, 40, 400]), len(data) - start)
    data[start : start + count] = bytes([random.choice([0, 0, 0x55, 0xFF])]) * count


def _header(data: bytearray, random: Random) -> None:
    position = random.randrange(0, min(_HEADER_BYTES, len(data) - 8), 2)
    layout = random.choice("<>") + random.choice("HIIQ")
    size = struct.calcsize(layout)
    struct.pack_into(layout, data, position, random.choice(_NUMBERS) & ((1 << 8 * size) - 1))


def _png_chunk(data: bytearray, random: Random) -> None:
    """Remove, repeat or damage a chunk; its checksum holds."""
    chunks, position = [], 8
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        chunks.append((position, position + 12 + length))
        position += 12 + length
    if not chunks:
        return
    start, end = random.choice(chunks)
    match random.choice(["remove", "repeat", "damage", "damage"]):
        case "remove":
            del data[start:end]
        case "repeat":
            data[end:end] = data[start:end]
        case _ if end - start > 12 and end <= len(data):
            data[random.randrange(start + 8, end - 4)] ^= 1 << random.randrange(8)
            struct.pack_into(">I", data, end - 4, zlib.crc32(data[start + 4 : end - 4]))


def _jpeg_segment(data: bytearray, random: Random) -> None:
    """Remove, repeat or damage a segment, or cut the compressed data and leave its end marker."""
    segments, position = [], 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        (length,) = struct.unpack_from(">H", data, position + 2)
        segments.append((position, position + 2 + length))
        position += 2 + length
    if not segments or position >= len(data) - 2:
        return
    start, end = random.choice(segments)
    match random.choice(["remove", "repeat", "damage", "cut", "cut", "hole"]):
        case "remove":
            del data[start:end]
        case "repeat":
            data[end:end] = data[start:end]
        case "damage" if end <= len(data) and end > start + 4:
            data[random.randrange(start + 4, end)] = random.randrange(256)
        case "cut":
            del data[random.randrange(position, len(data) - 2) : -2]
        case _:
            start = random.randrange(position, len(data) - 2)
            del data[start : min(start + random.randrange(1, 200), len(data) - 2)]


def _riff_size(data: bytearray, random: Random) -> None:
    """Cut the file and make its sizes fit."""
    if len(data) < 26:
        return
    del data[random.randrange(24, len(data)) & ~1 :]
    struct.pack_into("<I", data, 4, len(data) - 8)
    if data[12:15] == b"VP8" and data[15:16] != b"X":
        struct.pack_into("<I", data, 16, len(data) - 20)


def _tiff_tag(data: bytearray, random: Random) -> None:
    """Change the number, type, count or value of a tag."""
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2:4] in (b"\x2b\0", b"\0\x2b")
    start = struct.unpack_from(order + ("Q" if is_big else "I"), data, 8 if is_big else 4)[0]
    count_layout, size, word = ("Q", 20, "Q") if is_big else ("H", 12, "I")
    if start + 8 > len(data):
        return
    (count,) = struct.unpack_from(order + count_layout, data, start)
    entry = start + struct.calcsize(count_layout) + size * random.randrange(max(1, min(count, 40)))
    if entry + size > len(data):
        return
    number = random.choice(_NUMBERS)
    match random.choice(["tag", "type", "count", "value", "value", "short", "short"]):
        case "tag":
            struct.pack_into(
                order + "H", data, entry, random.choice([254, 256, 257, 259, 278, 317, 330, 60000])
            )
        case "type":
            struct.pack_into(order + "H", data, entry + 2, random.randrange(20))
        case "count":
            struct.pack_into(order + word, data, entry + 4, number)
        case "value":
            struct.pack_into(order + word, data, entry + 4 + struct.calcsize(word), number)
        case _:
            struct.pack_into(order + "H", data, entry + 4 + struct.calcsize(word), number & 0xFFFF)
