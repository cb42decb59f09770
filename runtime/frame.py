"""Frame: one picture of a stream."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a stream.

    Attributes:
        pixels: (H, W, C) as read, C = 1 (grey) or 3 (RGB), uint8.
        source: the camera or file it came from.
        index: 0 for the first frame that the source gave; those that were dropped count too.
        timestamp_ns: when a camera gave it (monotonic clock); of a video file, its time in the film.
        captured_ns: when it was read here (monotonic clock).
        connection: how often the source had been lost and opened again.
    """

    pixels: np.ndarray
    source: str
    index: int
    timestamp_ns: int
    captured_ns: int = 0
    connection: int = 0
