"""The noise of a sensor: photons arrive at random (Poisson), and reading them out adds Gaussian noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .level import Level, to_uint8

_NO_NOISE = Level(0, 0)


@dataclass(frozen=True)
class PoissonNoise:
    """x = g·Poisson(y/g) + N(0, r²) for each value of each pixel; its variance is g·y + r².

    Args:
        gain: g, grey levels (0..255) for each photon.
        read: r, standard deviation of the read noise in grey levels.
    """

    usage: ClassVar = "poisson:GAIN[,READ]"
    value_count: ClassVar = (1, 2)
    limits: ClassVar = ((1e-3, 255), (0, 255))
    label_filter: ClassVar = "bilateral"
    is_additive: ClassVar = True
    replaces: ClassVar = False
    gain: Level
    read: Level = _NO_NOISE

    def __call__(self, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a noisy copy of `clean`, uint8 (H, W, 3)."""
        gain, read = self.gain.draw(rng), self.read.draw(rng)
        noisy = gain * rng.poisson(clean / gain) + read * rng.standard_normal(clean.shape, dtype=np.float32)
        return to_uint8(noisy)
