"""The strength of a noise: a number, or a range."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Level:
    """A range [low, high] that the strength is drawn from for each image; one number where they are equal."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """Return a value drawn uniformly."""
        return rng.uniform(self.low, self.high)


def parse_level(text: str) -> Level:
    """Parse a level such as `25` or `10-30`.

    Raises:
        ValueError: the text is neither.
    """
    low, dash, high = text.partition("-")
    return Level(float(low), float(high if dash else low))


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Round and clip values on the 0..255 scale, as a camera does."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
