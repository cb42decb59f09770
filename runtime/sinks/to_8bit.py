"""Frames for what shows 8 bits a colour: windows, videos, virtual cameras, the live page."""

from __future__ import annotations

import numpy as np

from ..images.image import from_float, to_float


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """(H, W, C) uint8, uint16 or float32 in [0, 1] as uint8; what is uint8 is given back itself."""
    return pixels if pixels.dtype == np.uint8 else from_float(to_float(pixels), np.uint8)


def to_rgb_uint8(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 1) or (H, W, 3) of any depth as contiguous (H, W, 3) uint8."""
    pixels = to_uint8(pixels)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else np.ascontiguousarray(pixels)
