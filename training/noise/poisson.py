"""The noise of a sensor: photons arrive at random (Poisson), and reading them out adds Gaussian noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...runtime.images.convert import round_to_uint8
from .level import Level, NoiseKind

_NO_NOISE = Level(0, 0)


@dataclass(frozen=True)
class PoissonNoise(NoiseKind):
    """x = g·Poisson(y/g) + N(0, r²) for each value of each pixel; its variance is g·y + r²."""

    usage: ClassVar = "poisson:GAIN[,READ]"
    value_count: ClassVar = (1, 2)
    limits: ClassVar = ((1e-3, 255), (0, 255))
    is_additive: ClassVar = True
    gain: Level  # g, grey levels (0..255) for each photon
    read: Level = _NO_NOISE  # r, standard deviation of the read noise in grey levels

    def __call__(self, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        gain, read = self.gain.draw(rng), self.read.draw(rng)
        noisy = gain * rng.poisson(clean / gain) + read * rng.standard_normal(clean.shape, dtype=np.float32)
        return round_to_uint8(noisy)
