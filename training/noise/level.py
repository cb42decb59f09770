"""Declare the kinds of noise and their levels: numbers, or ranges."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

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


@dataclass(frozen=True)
class NoiseKind(ABC):
    """Base of the noises: how a kind is written, and its effect."""

    usage: ClassVar[str]  # its form, such as "gaussian:SIGMA"
    value_count: ClassVar[tuple[int, int]] = (1, 1)  # minimum and maximum number of levels
    limits: ClassVar[tuple[tuple[float, float], ...]]  # minimum and maximum of each level
    label_filter: ClassVar[str] = "bilateral"  # filter whose labels suit it
    is_additive: ClassVar[bool] = False  # it is added, with mean zero
    replaces: ClassVar[bool] = False  # it replaces pixels

    @abstractmethod
    def __call__(self, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a noisy copy of `clean`, uint8 (H, W, 3)."""
