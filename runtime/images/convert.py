"""Convert pixels between depths and to 8-bit RGB, and cut out their middle."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def to_float(pixels: np.ndarray) -> np.ndarray:
    """Return uint8, uint16 or float32 pixels as float32 in [0, 1]; float32 is returned itself."""
    if pixels.dtype == np.float32:
        return pixels
    return np.multiply(pixels, 1 / np.iinfo(pixels.dtype).max, dtype=np.float32)


def from_float(pixels: np.ndarray, dtype: npt.DTypeLike) -> np.ndarray:
    """Return float32 pixels in [0, 1] as uint8, uint16 or float32.

    Integers are clipped and rounded to the nearest level; float32 is returned itself.
    """
    target = np.dtype(dtype)
    if target == np.float32:
        return pixels
    return np.rint(np.clip(pixels, 0, 1) * np.float32(np.iinfo(target.name).max)).astype(target)


def round_to_uint8(values: np.ndarray) -> np.ndarray:
    """Return values on the 0..255 scale as uint8, rounded to the nearest level and clipped."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Return uint8, uint16 or float32 pixels in [0, 1] as uint8; uint8 is returned itself."""
    return pixels if pixels.dtype == np.uint8 else from_float(to_float(pixels), np.uint8)


def to_grey_levels(pixels: np.ndarray) -> np.ndarray:
    """Return uint8, uint16 or float32 pixels as float32 on the scale of 8 bits, 0..255, not rounded."""
    return pixels.astype(np.float32) if pixels.dtype == np.uint8 else to_float(pixels) * np.float32(255)


def to_rgb_uint8(pixels: np.ndarray) -> np.ndarray:
    """Return (H, W, 1) or (H, W, 3) of any depth as contiguous (H, W, 3) uint8."""
    return to_rgb(pixels, np.uint8)


def to_rgb(pixels: np.ndarray, dtype: npt.DTypeLike) -> np.ndarray:
    """Return (H, W, 1) or (H, W, 3) of any depth as contiguous (H, W, 3) uint8, uint16 or float32."""
    pixels = pixels if pixels.dtype == dtype else from_float(to_float(pixels), dtype)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else np.ascontiguousarray(pixels)


def middle_crop(pixels: np.ndarray, height_px: int, width_px: int | None = None) -> np.ndarray:
    """Return a view of the middle of (H, W, …), at most `height_px` × `width_px`; one size: a square."""
    top = max(0, pixels.shape[0] - height_px) // 2
    width_px = height_px if width_px is None else width_px
    left = max(0, pixels.shape[1] - width_px) // 2
    return pixels[top : top + height_px, left : left + width_px]
