"""Speckle, the noise of coherent imaging (ultrasound, radar, lasers): x = y + n·y."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...runtime.images.convert import round_to_uint8
from .level import Level, NoiseKind


@dataclass(frozen=True)
class SpeckleNoise(NoiseKind):
    """x = y + n·y, n uniform in [−√(3v), √(3v)], of mean 0 and variance v, for each value of each pixel."""

    usage: ClassVar = "speckle:VARIANCE"
    limits: ClassVar = ((0, 1),)
    # The mean of logarithms, which the paper takes, is darker than the logarithm of the mean, by 5 % at a
    # variance of 0.1; the median is not.
    label_filter: ClassVar = "median:35"
    variance: Level  # v; does not depend on the scale of the values

    def __call__(self, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        largest = math.sqrt(3 * self.variance.draw(rng))
        return round_to_uint8(clean * (1 + largest * (2 * rng.random(clean.shape, dtype=np.float32) - 1)))
