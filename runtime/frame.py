"""Define a frame of a stream, and the iterator that yields frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class Frame:
    """An image of a stream, with its source and time.

    Attributes:
        pixels: (H, W, C) as read, C = 1 (grey) or 3 (RGB), uint8; from an image file also uint16, or
            float32 in [0, 1].
        source: name of the camera or file, without a password.
        index: number of the frame from 0, dropped frames included.
        timestamp_ns: capture time by a camera (monotonic clock), or time in the video.
        captured_ns: time at which it was read (monotonic clock).
        connection: number of reconnections before it.
        corrupt: number of frames before it that could not be decoded; `index` does not count them.
    """

    pixels: np.ndarray
    source: str
    index: int
    timestamp_ns: int
    captured_ns: int = 0
    connection: int = 0
    corrupt: int = 0


class Frames(Protocol):
    """An iterator of frames that holds its source open until it is closed or exhausted."""

    def __iter__(self) -> Frames: ...

    def __next__(self) -> Frame: ...

    def close(self) -> None:
        """Release the source; no frame follows."""
        ...
