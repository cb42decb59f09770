"""Noisy pictures of any size, out of the sample photographs."""

from __future__ import annotations

import numpy as np
from n2b.runtime.images.image import read_image
from n2b.runtime.samples import sample_photographs

SIGMA = 25  # of the noise, on the 0..255 scale


def clean_picture(height: int, width: int) -> np.ndarray:
    """A photograph, mirrored at its borders until it fills (H, W, 3) uint8."""
    photograph = read_image(sample_photographs()[0]).pixels
    rows, columns = (
        _mirrored(side, length) for side, length in zip((height, width), photograph.shape, strict=False)
    )
    return np.ascontiguousarray(photograph[rows][:, columns])


def add_noise(clean: np.ndarray, seed: int = 0, sigma: float = SIGMA) -> np.ndarray:
    """White Gaussian noise, clipped as a sensor would; (H, W, 3) uint8."""
    random = np.random.default_rng(seed)
    noisy = np.empty_like(clean)
    for top in range(0, len(clean), 256):  # little memory beside a large picture
        band = clean[top : top + 256]
        noise = sigma * random.standard_normal(band.shape, np.float32)
        noisy[top : top + 256] = np.clip(np.rint(band + noise), 0, 255)
    return noisy


def _mirrored(side: int, length: int) -> np.ndarray:
    """Indices 0, 1, …, length − 1, length − 1, …, 1, 0, 0, 1, …"""
    index = np.arange(side) % (2 * length)
    return np.minimum(index, 2 * length - 1 - index)
