"""Additive white Gaussian noise: x = y + n."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .level import Level, to_uint8


@dataclass(frozen=True)
class GaussianNoise:
    """x = y + n, n ~ N(0, σ²) for each value of each pixel.

    Args:
        sigma: standard deviation σ on the 0..255 scale.
    """

    usage: ClassVar = "gaussian:SIGMA"
    value_count: ClassVar = (1, 1)
    limits: ClassVar = ((0, 255),)
    label_filter: ClassVar = "bilateral"
    is_additive: ClassVar = True
    replaces: ClassVar = False
    sigma: Level

    def __call__(self, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a noisy copy of `clean`, uint8 (H, W, 3)."""
        sigma = self.sigma.draw(rng)
        return to_uint8(clean + sigma * rng.standard_normal(clean.shape, dtype=np.float32))
