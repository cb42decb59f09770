"""Images for the tests of commands, and what these print."""

from __future__ import annotations

import numpy as np


def random_image(height: int = 24, width: int = 30, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def only_line(text: str) -> str:
    (line,) = text.splitlines()
    return line
