"""Turn and mirror frames as the display matrix of a video says."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np


def side_data(frame: Any, name: str) -> bytes | None:
    """Return side data of a frame by FFmpeg's name without AV_FRAME_DATA_; None: it has none."""
    try:
        data = frame.side_data.get(name)
    except (KeyError, ValueError):  # PyAV does not know the type of other side data
        return None
    return None if data is None else bytes(data)


def is_turned(frame: Any) -> bool:
    """Return True if the upright frame has its sides swapped."""
    return _axes(frame)[0]


def upright(pixels: np.ndarray, frame: Any) -> np.ndarray:
    """Return (H, W, C) turned and mirrored to the nearest right angle, contiguous."""
    swaps, mirrors_x, mirrors_y = _axes(frame)
    if swaps:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels[:: -1 if mirrors_y else 1, :: -1 if mirrors_x else 1])


def _axes(frame: Any) -> tuple[bool, bool, bool]:
    """Return whether the axes are swapped first, and which are mirrored then."""
    matrix = side_data(frame, "DISPLAYMATRIX")
    if matrix is None:
        return False, False, False
    # x' = a x + c y + …, y' = b x + d y + …, all as integers
    a, b, _, c, d = struct.unpack("=5i", matrix[:20])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, a < 0, d < 0
    return True, c < 0, b < 0
