"""Encode frames for a browser: pairs of JPEGs at its size, and PNGs."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ImageError
from ..images.convert import middle_crop, to_uint8
from ..images.metrics import noise_sigma
from ..system.opencv import load_opencv

PAIR, SNAPSHOT = 1, 2  # kinds of message
_HEADER = struct.Struct(">BII")  # kind, frame number, length of the first image in bytes
_WIDTHS_PX = (480, 960, 1440, 1920)  # few, so that viewers share encoded images
_JPEG_QUALITY = 80
_MEASURED_PX = 512  # side of the crop on which noise is estimated


@dataclass(frozen=True, eq=False)
class Pair:
    """One frame, noisy and denoised."""

    number: int  # the frame's index in its stream
    before: np.ndarray  # before, after: (H, W, C) of the same shape and dtype, C = 1 (grey) or 3 (RGB)
    after: np.ndarray


def shared_width_px(wanted_px: int) -> int:
    """Return the shared width in px for a requested one; the largest if it is wider."""
    return next((width for width in _WIDTHS_PX if width >= wanted_px), _WIDTHS_PX[-1])


def pair_message(pair: Pair, width_px: int) -> bytes:
    """Return both images as JPEGs after a header, at most this wide."""
    quality = [load_opencv().IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    before, after = (_encode(".jpg", _at_most(width_px, p), quality) for p in (pair.before, pair.after))
    return _HEADER.pack(PAIR, pair.number & 0xFFFFFFFF, len(before)) + before + after


def snapshot_message(pair: Pair) -> bytes:
    """Return the denoised image in full size as 8-bit PNG, after a header."""
    image = _encode(".png", pair.after, [])
    return _HEADER.pack(SNAPSHOT, pair.number & 0xFFFFFFFF, len(image)) + image


def jpeg(pair: Pair, width_px: int | None) -> bytes:
    """Return the denoised image as JPEG, at most this wide; None: in full size."""
    pixels = pair.after if width_px is None else _at_most(width_px, pair.after)
    return _encode(".jpg", pixels, [load_opencv().IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])


def pair_noise(pair: Pair) -> tuple[float, float] | None:
    """Return σ of the noise before and after, in grey levels of 255, in the middle; None for tiny images."""
    if min(pair.before.shape[:2]) < 3:
        return None
    before, after = (
        noise_sigma(to_uint8(middle_crop(image, _MEASURED_PX))) for image in (pair.before, pair.after)
    )
    return before, after


def _at_most(width_px: int, pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    if width <= width_px:
        return pixels
    cv2 = load_opencv()
    size = (width_px, max(1, round(height * width_px / width)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _encode(suffix: str, pixels: np.ndarray, parameters: list[Any]) -> bytes:
    cv2 = load_opencv()
    pixels = to_uint8(pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    is_done, data = cv2.imencode(suffix, pixels, parameters)
    if not is_done:
        raise ImageError(f"OpenCV cannot encode an image of shape {pixels.shape} as {suffix}")
    return data.tobytes()
