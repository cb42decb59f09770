"""Synthetic noise, named by a short text such as `gaussian:0-50`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..runtime.errors import UserError

FULL_SCALE = 255.0  # noise levels are given on the 0..255 scale


@dataclass(frozen=True)
class GaussianNoise:
    """Additive white Gaussian noise; σ is drawn uniformly from [low, high] for every image.

    Args:
        low, high: standard deviation on the 0..255 scale.
    """

    low: float
    high: float

    def __call__(self, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Noisy copy of `clean`: uint8 (H, W, 3), rounded and clipped to 0..255 as a camera would."""
        sigma = rng.uniform(self.low, self.high)
        noisy = clean + sigma * rng.standard_normal(clean.shape, dtype=np.float32)
        return np.clip(np.rint(noisy), 0, FULL_SCALE).astype(np.uint8)


Noise = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def parse_noise(spec: str) -> Noise:
    """The noise that a text names: `gaussian:25` or `gaussian:0-50` (σ on the 0..255 scale).

    Raises:
        UserError: the text names no noise.
    """
    name, _, values = spec.partition(":")
    if name != "gaussian":
        raise UserError(f"unknown noise '{spec}'; known: gaussian:SIGMA, gaussian:LOW-HIGH (0..255 scale)")
    low, _, high = values.partition("-")
    try:
        noise = GaussianNoise(float(low), float(high or low))
    except ValueError as error:
        raise UserError(f"noise '{spec}' needs a level, such as gaussian:25 or gaussian:0-50") from error
    if not 0 <= noise.low <= noise.high <= FULL_SCALE:
        raise UserError(f"noise '{spec}' is out of range: 0 ≤ LOW ≤ HIGH ≤ 255")
    return noise
