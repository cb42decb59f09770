"""Additive white Gaussian noise: x = y + n."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...runtime.images.convert import round_to_uint8
from .level import Level, NoiseKind


@dataclass(frozen=True)
class GaussianNoise(NoiseKind):
    """x = y + n, n ~ N(0, σ²) for each value of each pixel."""

    usage: ClassVar = "gaussian:SIGMA"
    limits: ClassVar = ((0, 255),)
    is_additive: ClassVar = True
    sigma: Level  # standard deviation σ on the 0..255 scale

    def __call__(self, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        sigma = self.sigma.draw(rng)
        return round_to_uint8(clean + sigma * rng.standard_normal(clean.shape, dtype=np.float32))
