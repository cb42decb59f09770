"""BM3D, by the package of its authors (Mäkinen, Azzari, Foi, IEEE TIP 2020)."""

from __future__ import annotations

import numpy as np
from n2b.runtime.errors import MissingPackageError

_LEAST_SIGMA = 0.1  # grey levels; under half of one there is nothing that rounding does not hide


def bm3d(noisy: np.ndarray, sigma: float) -> np.ndarray:
    """Remove white Gaussian noise; colour in the opponent space of the package (CBM3D).

    Args:
        noisy: uint8 (H, W) or (H, W, 3), H and W at least 8.
        sigma: standard deviation of the noise on the 0..255 scale.

    Returns:
        uint8, of the same shape.

    Raises:
        MissingPackageError: the package is not installed.
    """
    try:
        import bm3d as package
    except ImportError as error:
        raise MissingPackageError("bm3d", extra="bm3d") from error
    if sigma < _LEAST_SIGMA:
        return noisy.copy()
    values = noisy.astype(np.float64)
    if noisy.ndim == 2:
        result = package.bm3d(values, sigma)
    else:
        try:
            with np.errstate(invalid="raise"):
                result = package.bm3d_rgb(values, sigma)
        except (ValueError, FloatingPointError):  # bm3d 4.0 stumbles where brightness or colour is flat
            result = np.stack([package.bm3d(values[..., i], sigma) for i in range(3)], axis=2)
    return np.clip(np.rint(result), 0, 255).astype(np.uint8).reshape(noisy.shape)
