"""Several noises, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ChainNoise:
    """Several noises in turn; each gets the 8-bit result of the one before."""

    stages: tuple[Callable[[np.ndarray, np.random.Generator], np.ndarray], ...]

    def __call__(self, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a noisy copy of `clean`, uint8 (H, W, 3)."""
        for stage in self.stages:
            clean = stage(clean, rng)
        return clean
