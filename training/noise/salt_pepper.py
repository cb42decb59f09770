"""Salt and pepper: pixels that are lost, and read as white or black."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .level import Level, NoiseKind


@dataclass(frozen=True)
class SaltPepperNoise(NoiseKind):
    """Each pixel is replaced with probability p, by black or white with equal chances.

    All channels of a pixel are replaced together, so that the specks are black and white, not coloured.
    """

    usage: ClassVar = "saltpepper:FRACTION"
    limits: ClassVar = ((0, 1),)
    label_filter: ClassVar = "median:31"
    replaces: ClassVar = True
    fraction: Level  # p, of the pixels

    def __call__(self, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        fraction = self.fraction.draw(rng)
        chance = rng.random(clean.shape[:2], dtype=np.float32)
        noisy = clean.copy()
        noisy[chance < fraction] = 255
        noisy[chance < fraction / 2] = 0
        return noisy
