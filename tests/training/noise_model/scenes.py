"""Scenes without noise: areas of one colour and of slow shades, and areas of texture."""

from __future__ import annotations

import numpy as np


def scene(seed: int, *, size_px: int = 512, textured: float = 0.5) -> np.ndarray:
    """float32 (H, W, 3) in grey levels: areas between straight lines, a share of them textured."""
    rng = np.random.default_rng([7, seed])
    y, x = np.mgrid[:size_px, :size_px] / size_px
    area = np.zeros((size_px, size_px), int)
    for number in range(6):
        angle, offset = rng.uniform(0, np.pi), rng.uniform(0.2, 0.8)
        area += (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5) > offset - 0.5) << number
    image = np.zeros((size_px, size_px, 3), np.float32)
    for value in np.unique(area):
        inside = area == value
        colour = rng.uniform(40, 215) + rng.uniform(-25, 25, 3)
        shade = rng.uniform(-40, 40) * x + rng.uniform(-40, 40) * y
        if rng.random() < textured:
            shade = shade + _texture(rng, size_px)
        image[inside] = (colour + shade[..., None])[inside]
    return np.clip(image, 12, 243).astype(np.float32)


def _texture(rng: np.random.Generator, size_px: int) -> np.ndarray:
    """A random field whose power falls with frequency, as that of photographs does; σ 8 to 20 grey levels."""
    frequency = np.hypot(np.fft.fftfreq(size_px)[:, None], np.fft.rfftfreq(size_px))
    spectrum = np.fft.rfft2(rng.standard_normal((size_px, size_px))) / np.maximum(frequency, 0.01) ** 1.2
    field = np.fft.irfft2(spectrum, (size_px, size_px))
    return field / field.std() * rng.uniform(8, 20)
