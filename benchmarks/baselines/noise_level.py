"""How strong the noise of an image is, from the image alone."""

from __future__ import annotations

import numpy as np

_NORMAL_MAD = 0.6744897501960817  # median of |n| for normal n of σ = 1


def estimate_sigma(noisy: np.ndarray) -> float:
    """Standard deviation of white noise: median |d| / 0.6745 of the diagonal Haar coefficients d.

    (Donoho and Johnstone, 1994.) What noise clipping has removed, and noise that is not white, are not seen.

    Args:
        noisy: uint8 (H, W) or (H, W, 3), H and W at least 2.

    Returns:
        σ on the 0..255 scale.
    """
    height, width = (side // 2 * 2 for side in noisy.shape[:2])
    values = noisy[:height, :width].astype(np.float64)
    even, odd = values[::2], values[1::2]
    diagonal = (even[:, ::2] - even[:, 1::2] - odd[:, ::2] + odd[:, 1::2]) / 2
    return float(np.median(np.abs(diagonal))) / _NORMAL_MAD
