"""Noise models that were not estimated."""

from __future__ import annotations

import numpy as np
from n2b.training.noise_model import NoiseModel
from n2b.training.noise_model.covariance import white
from n2b.training.noise_model.model import KNOTS


def simple_model(level: float = 10.0, images: int = 2, covariance: np.ndarray | None = None) -> NoiseModel:
    """Noise of one strength, white unless another covariance is given; each image has a source."""
    one = white() if covariance is None else covariance
    return NoiseModel(
        level=np.full(KNOTS, level),
        level_spread=np.full(KNOTS, 0.1),
        image_level=np.full((images, KNOTS), level),
        image_level_spread=np.full((images, KNOTS), 0.1),
        source=np.arange(images),
        covariance=np.stack([one] * images),
        tilt=np.zeros_like(one),
        middle=128.0,
        half_range=64.0,
        windows=np.full(images, 9),
    )
