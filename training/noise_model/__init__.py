"""Model a camera's noise: estimate it from noisy images, and synthesise it. Imports: nothing of training."""

from __future__ import annotations

from .estimate import estimate_noise
from .model import NoiseModel

__all__ = ["NoiseModel", "estimate_noise"]
