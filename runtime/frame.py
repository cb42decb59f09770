"""Frame: one picture of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a stream.

    Attributes:
        pixels: (H, W, C) as read, C = 1 (grey) or 3 (RGB), uint8; of an image file also uint16, or float32
            in [0, 1].
        source: the camera or file it came from, without a password.
        index: 0 for the first frame that the source gave; those that were dropped count too.
        timestamp_ns: when a camera gave it (monotonic clock); of a video, its time in the video.
        captured_ns: when it was read here (monotonic clock).
        connection: how often the source had been lost and opened again.
        corrupt: how many frames before it could not be decoded; `index` does not count them.
    """

    pixels: np.ndarray
    source: str
    index: int
    timestamp_ns: int
    captured_ns: int = 0
    connection: int = 0
    corrupt: int = 0


class Frames(Protocol):
    """An iterator of frames that holds something open until it is closed or used up."""

    def __iter__(self) -> Frames: ...

    def __next__(self) -> Frame: ...

    def close(self) -> None:
        """Free it; no frame comes after that."""
        ...
