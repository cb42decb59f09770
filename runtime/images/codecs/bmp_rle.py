"""Decode the run lengths of BMP files (BI_RLE8, BI_RLE4)."""

from __future__ import annotations

import numpy as np

from .header import FormatError

_END_OF_ROW, _END, _MOVE = (
    0,
    1,
    2,
)  # second byte after a 0; larger ones begin stored pixels


def decode_rle(data: memoryview, height: int, width: int, bits: int) -> np.ndarray:
    """Return palette indices (H, W) uint8, the bottom row first; those that are passed over are 0.

    Args:
        data: begins with the compressed pixels.
        height, width: of the image in px.
        bits: of an index, 4 or 8.

    Raises:
        FormatError: the data ends early or leaves the image.
    """
    indices = np.zeros((height, width), np.uint8)
    position, row, column = 0, 0, 0
    while True:
        if position + 2 > len(data):
            raise FormatError("is cut short")
        count, value = data[position], data[position + 1]
        position += 2
        if count:
            run = np.resize(_indices(bytes([value]), bits), count)
        elif value == _END_OF_ROW:
            row, column = row + 1, 0
            continue
        elif value == _END:
            return indices
        elif value == _MOVE:
            if position + 2 > len(data):
                raise FormatError("is cut short")
            row, column = row + data[position + 1], column + data[position]
            position += 2
            continue
        else:
            size = (value * bits + 7) // 8
            if position + size > len(data):
                raise FormatError("is cut short")
            run = _indices(bytes(data[position : position + size]), bits)[:value]
            position += size + size % 2
        if row >= height or column + len(run) > width:
            raise FormatError("is damaged: its run lengths leave the image")
        indices[row, column : column + len(run)] = run
        column += len(run)


def _indices(data: bytes, bits: int) -> np.ndarray:
    values = np.frombuffer(data, np.uint8)
    return values if bits == 8 else np.stack([values >> 4, values & 15], axis=1).reshape(-1)
