"""Make noisy images of any size from the sample photographs."""

from __future__ import annotations

import numpy as np
from n2b.runtime.images.image import read_image
from n2b.runtime.samples import sample_photographs

SIGMA = 25  # of the noise, on the 0..255 scale


def clean_image(height: int, width: int) -> np.ndarray:
    """Return a photograph, mirrored at its borders until it fills (H, W, 3) uint8."""
    photograph = read_image(sample_photographs()[0]).pixels
    rows, columns = (
        _mirrored(side, length) for side, length in zip((height, width), photograph.shape, strict=False)
    )
    return np.ascontiguousarray(photograph[rows][:, columns])


def add_noise(clean: np.ndarray, seed: int = 0, sigma: float = SIGMA) -> np.ndarray:
    """Add white Gaussian noise, clipped as by a sensor; (H, W, 3) uint8."""
    random = np.random.default_rng(seed)
    noisy = np.empty_like(clean)
    for top in range(0, len(clean), 256):  # in bands, to take little memory besides the image
        band = clean[top : top + 256]
        noise = sigma * random.standard_normal(band.shape, np.float32)
        noisy[top : top + 256] = np.clip(np.rint(band + noise), 0, 255)
    return noisy


def _mirrored(side: int, length: int) -> np.ndarray:
    """Return the indices 0, 1, …, length − 1, length − 1, …, 1, 0, 0, 1, …"""
    index = np.arange(side) % (2 * length)
    return np.minimum(index, 2 * length - 1 - index)
