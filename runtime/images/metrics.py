"""Compare images by PSNR and SSIM, in float64 with little extra memory, and estimate noise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import UserError
from ..system.opencv import load_opencv

_WINDOW_PX = 11
_SIGMA_PX = 1.5
_K1, _K2 = 0.01, 0.03
_BAND_SAMPLES = 1 << 20  # converted to float64 at a time


def psnr(a: np.ndarray, b: np.ndarray, *, data_range: float | None = None) -> float:
    """Return the peak signal-to-noise ratio in dB, 10·log₁₀(data_range² / mean squared difference).

    Args:
        a: an image.
        b: another of the same shape and dtype.
        data_range: largest value less smallest; None: 255 for uint8, 65535 for uint16, 1 for float.

    Returns:
        dB; inf if the images are equal.

    Raises:
        UserError: shapes or dtypes differ, or the data range of the dtype is unknown.
    """
    peak = _check(a, b, data_range)
    if not a.size:
        raise UserError("PSNR of images without pixels is not defined")
    squared_error = 0.0
    for rows in _bands(a, overlap_px=0):
        difference = np.subtract(a[rows], b[rows], dtype=np.float64).ravel()
        squared_error += float(difference @ difference)
    if squared_error == 0:
        return math.inf
    return 10 * math.log10(peak**2 * a.size / squared_error)


def ssim(a: np.ndarray, b: np.ndarray, *, data_range: float | None = None) -> float:
    """Return the structural similarity, at most 1, the value of equal images (Wang et al., 2004).

    Gaussian window of 11×11 px, σ = 1.5 px, K₁ = 0.01, K₂ = 0.03, averaged over the pixels whose window
    is inside the image, then over the channels. The same as scikit-image's `structural_similarity` with
    `gaussian_weights=True, sigma=1.5, use_sample_covariance=False, channel_axis=2`.

    Args:
        a: an image, (H, W) or (H, W, C), H and W ≥ 11.
        b: another of the same dtype and shape.
        data_range: largest value less smallest; None: 255 for uint8, 65535 for uint16, 1 for float.

    Raises:
        UserError: shapes or dtypes differ, the data range is unknown, or the images are too small.
    """
    peak = _check(a, b, data_range)
    if a.ndim not in (2, 3) or min(a.shape[:2]) < _WINDOW_PX or not a.size:
        raise UserError(f"SSIM needs images of at least {_WINDOW_PX}×{_WINDOW_PX} px, not of shape {a.shape}")
    a, b = np.atleast_3d(a), np.atleast_3d(b)
    height, width, channels = a.shape
    total = 0.0
    for rows in _bands(a, overlap_px=_WINDOW_PX - 1):
        for channel in range(channels):
            x, y = (image[rows, :, channel].astype(np.float64) for image in (a, b))
            total += float(_ssim_map(x, y, peak).sum())
    return total / ((height - _WINDOW_PX + 1) * (width - _WINDOW_PX + 1) * channels)


def noise_sigma(image: np.ndarray) -> float:
    """Estimate the standard deviation of the noise in an image, without a reference.

    Immerkær, "Fast Noise Variance Estimation" (Computer Vision and Image Understanding 64, 1996), equation
    4: the mean magnitude of the second difference along both axes, which is close to 0 in a smooth image,
    scaled to the σ that Gaussian noise of this magnitude has. Fine texture counts as noise, and noise that is
    clipped at black or white is missed. Of several channels, the root of the mean variance.

    Args:
        image: (H, W) or (H, W, C), H and W ≥ 3, of any real dtype.

    Returns:
        σ in the units of the image: grey levels of 255 for uint8.

    Raises:
        UserError: the image is too small.
    """
    if image.ndim not in (2, 3) or min(image.shape[:2]) < 3 or not image.size:
        raise UserError(f"noise is estimated on images of at least 3×3 px, not of shape {image.shape}")
    # the paper's 3×3 mask is the product of (1, −2, 1) along each axis
    second = np.diff(np.diff(image.astype(np.float32), 2, axis=0), 2, axis=1)
    sigmas = math.sqrt(math.pi / 2) / 6 * np.abs(second).mean(axis=(0, 1), dtype=np.float64)
    return float(np.sqrt(np.mean(sigmas**2)))


def _check(a: np.ndarray, b: np.ndarray, data_range: float | None) -> float:
    if a.shape != b.shape:
        raise UserError(f"images of different shapes cannot be compared: {a.shape} and {b.shape}")
    if a.dtype != b.dtype:
        raise UserError(f"images of different dtypes cannot be compared: {a.dtype} and {b.dtype}")
    if data_range is not None:
        return data_range
    if a.dtype in (np.uint8, np.uint16):
        return float(np.iinfo(a.dtype).max)
    if a.dtype.kind == "f":
        return 1.0
    raise UserError(f"the data range of {a.dtype} is not known; use uint8, uint16 or float, or name it")


def _bands(image: np.ndarray, *, overlap_px: int) -> Iterator[slice]:
    """Return slices of rows that cover the image, each sharing `overlap_px` rows with the next."""
    height = image.shape[0]
    step = max(1, _BAND_SAMPLES * height // image.size)
    for top in range(0, height - overlap_px, step):
        yield slice(top, min(top + step + overlap_px, height))


def _ssim_map(x: np.ndarray, y: np.ndarray, peak: float) -> np.ndarray:
    """Return (H − 10, W − 10) similarities of float64 images (H, W); names as in the paper."""
    c1, c2 = (_K1 * peak) ** 2, (_K2 * peak) ** 2
    mu_x, mu_y = _weighted_mean(x), _weighted_mean(y)
    sigma_xx = _weighted_mean(x * x) - mu_x**2
    sigma_yy = _weighted_mean(y * y) - mu_y**2
    sigma_xy = _weighted_mean(x * y) - mu_x * mu_y
    luminance = (2 * mu_x * mu_y + c1) / (mu_x**2 + mu_y**2 + c1)
    structure = (2 * sigma_xy + c2) / (sigma_xx + sigma_yy + c2)
    return luminance * structure


def _weighted_mean(values: np.ndarray) -> Any:
    """Return the Gaussian means of the windows inside the image."""
    cv2 = load_opencv()
    kernel = cv2.getGaussianKernel(_WINDOW_PX, _SIGMA_PX, cv2.CV_64F)
    radius = _WINDOW_PX // 2
    return cv2.sepFilter2D(values, cv2.CV_64F, kernel, kernel)[radius:-radius, radius:-radius]
