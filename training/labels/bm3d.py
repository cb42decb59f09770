"""Labels by BM3D (Dabov et al., 2007), which keeps edges and texture that other filters blur away.

The label must be free of noise, more than it must be sharp. On photographs with Gaussian noise, with 1, 1.5
and 2 times the estimated σ, BM3D leaves .26, .18 and .16 of the noise in the label at σ = 25,
and .18, .13 and .11 at σ = 50; beyond that it mostly loses detail. Hence STRENGTH. (The default bilateral
filter leaves .09, in a label that is 2 to 5 dB further from the clean photograph.)
"""

from __future__ import annotations

import numpy as np

from ...runtime.system.packages import require

STRENGTH = 2.0  # factor on the estimated σ
MIN_SIGMA = 1.0  # grey levels: BM3D divides by σ, and rounding to 8 bit alone makes 0.3
MIN_SIZE_PX = 16  # smaller images are mirrored to this size: BM3D's blocks must fit
MAD_TO_SIGMA = 0.6745  # median |d| of Gaussian values of σ 1

# Brightness, on which BM3D looks for similar blocks, and two differences of colour, all in [0, 1]. The
# package has the same transform, but stretches each channel to its extremes, and a grey image has none.
_OPPONENT = np.array([[1 / 3, 1 / 3, 1 / 3], [1 / 2, 0, -1 / 2], [1 / 4, -1 / 2, 1 / 4]])
_OFFSET = np.array([0, 1 / 2, 1 / 2])


def bm3d_label(image: np.ndarray, sigma: float | None = None) -> np.ndarray:
    """Return a copy of an image without noise.

    Args:
        image: float32 (H, W, 3), 0..255.
        sigma: standard deviation of the noise, 0..255 scale; None: STRENGTH times
            that of `estimate_sigma`.

    Returns:
        float32 (H, W, 3), 0..255, unclipped. The same image gives the same label: one thread computes it.

    Raises:
        MissingPackageError: bm3d is not installed or cannot load.
    """
    package = require("bm3d", extra="bm3d")
    bm3d, profile = package.bm3d, package.BM3DProfileLC()
    height, width = image.shape[:2]
    padding = [(0, max(0, MIN_SIZE_PX - size)) for size in (height, width)]
    padded = np.pad(image, [*padding, (0, 0)], mode="symmetric")
    if sigma is None:
        sigma = max(MIN_SIGMA, STRENGTH * estimate_sigma(image))
    sigmas = sigma / 255 * np.sqrt((_OPPONENT**2).sum(axis=1))
    profile.nf = 0  # no spectrum of the noise: a sixth of the time, and labels as good
    profile.num_threads = 1
    channels = padded / 255.0 @ _OPPONENT.T + _OFFSET
    try:
        label = np.asarray(bm3d(channels, sigmas.reshape(1, 1, 3), profile))
    except ValueError:  # bm3d 4.0 stumbles where its first estimate of the brightness is flat
        label = np.stack([bm3d(channels[..., i], sigmas[i], profile) for i in range(3)], axis=2)
    rgb = (label[:height, :width] - _OFFSET) @ np.linalg.inv(_OPPONENT).T
    return (255 * rgb).astype(np.float32)


def estimate_sigma(image: np.ndarray) -> float:
    """Estimate the standard deviation of white noise in an image, on the image's scale.

    The median of |diagonal Haar detail| of 2×2 cells, over 0.6745 (Donoho and Johnstone, 1994): edges and
    texture move a median little. Values clipped at black and white make it too low.

    Args:
        image: (H, W, C); without a 2×2 cell the result is 0.
    """
    height, width = (size // 2 * 2 for size in image.shape[:2])
    if not height or not width:
        return 0.0
    cells = image[:height, :width].astype(np.float32)
    detail = (cells[0::2, 0::2] - cells[0::2, 1::2] - cells[1::2, 0::2] + cells[1::2, 1::2]) / 2
    return float(np.median(np.abs(detail))) / MAD_TO_SIGMA
