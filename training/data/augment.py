"""Variants of clean photographs: softer, larger, smaller."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...runtime.system.opencv import load_opencv

SOFT_SIGMA_PX = 0.8
ENLARGED, REDUCED = 1.5, 0.6


def with_variants(photograph: np.ndarray, least_px: int) -> Iterator[np.ndarray]:
    """Yield the photograph; blurred, as by a soft lens; enlarged; reduced, which also removes its noise.

    A camera's frames show less and softer detail per pixel than photographs that were scaled down to be
    published; a denoiser that has only seen those treats soft detail as noise.

    Args:
        photograph: uint8 or uint16 (H, W, 3).
        least_px: no side is reduced to less.
    """
    cv2 = load_opencv()
    yield photograph
    yield cv2.GaussianBlur(photograph, (0, 0), SOFT_SIGMA_PX)
    yield cv2.resize(photograph, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
    if min(photograph.shape[:2]) * REDUCED >= least_px:
        yield cv2.resize(photograph, None, fx=REDUCED, fy=REDUCED, interpolation=cv2.INTER_AREA)
