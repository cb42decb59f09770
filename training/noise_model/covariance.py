"""The autocovariance of noise, from windows that contain nothing else."""

from __future__ import annotations

import numpy as np

from .model import REACH_PX, SHIFTS

ALIKE_LOG_SIGMA = 0.35  # difference of ln σ at which images are no longer similar: of other cameras
TAPER_FROM_PX = 5.0  # from here covariance falls to zero, which it reaches at REACH_PX + 1


def autocovariance(windows: np.ndarray) -> np.ndarray:
    """Σ n_a(p) n_b(p + d) over the pairs of pixels of each window, by their number; the mean of windows.

    Args:
        windows: float32 (n, 3, S, S) with zero mean, S > REACH_PX.

    Returns:
        float64 (3, 3, SHIFTS, SHIFTS).
    """
    size = windows.shape[-1]
    padded = size + REACH_PX  # so far apart that the torus is none
    spectra = np.fft.rfft2(windows.astype(np.float64), (padded, padded))
    power = np.einsum("naij,nbij->abij", spectra.conj(), spectra, optimize=True) / len(windows)
    sums = np.fft.irfft2(power, (padded, padded))
    shift = np.arange(-REACH_PX, REACH_PX + 1)
    pairs = (size - np.abs(shift))[:, None] * (size - np.abs(shift))
    return sums[:, :, shift[:, None] % padded, shift % padded] / pairs


def tapered(covariance: np.ndarray) -> np.ndarray:
    """Return a covariance that falls smoothly to zero: where it is small, its estimate is mostly chance."""
    shift = np.arange(-REACH_PX, REACH_PX + 1)
    distance = np.hypot(shift[:, None], shift)
    fall = np.clip((distance - TAPER_FROM_PX) / (REACH_PX + 1 - TAPER_FROM_PX), 0, 1)
    return covariance * (0.5 + 0.5 * np.cos(np.pi * fall))


def with_unit_rms(covariance: np.ndarray) -> np.ndarray:
    """Return a covariance scaled so that the mean of the channels' variances is 1."""
    variance = np.trace(covariance[..., REACH_PX, REACH_PX], axis1=-2, axis2=-1) / 3
    return covariance / np.maximum(variance, 1e-12)[..., None, None, None, None]


def white() -> np.ndarray:
    """Return the covariance of noise that is independent over pixels and channels."""
    covariance = np.zeros((3, 3, SHIFTS, SHIFTS))
    covariance[np.arange(3), np.arange(3), REACH_PX, REACH_PX] = 1
    return covariance


def shrunk(own: np.ndarray, weight: np.ndarray, common: np.ndarray, common_weight: float) -> np.ndarray:
    """Return the covariances of single images mixed with that of all.

    Args:
        own: (n, 3, 3, SHIFTS, SHIFTS).
        weight: (n,), flat windows each is from.
        common: (3, 3, SHIFTS, SHIFTS), or one for each (n, 3, 3, SHIFTS, SHIFTS).
        common_weight: windows that `common` counts as.
    """
    share = (weight / (weight + common_weight))[:, None, None, None, None]
    return share * own + (1 - share) * common


def of_similar(own: np.ndarray, weight: np.ndarray, log_level: np.ndarray, common: np.ndarray) -> np.ndarray:
    """Return for each source the mean covariance of those whose noise is about as strong.

    Images of several cameras may be in one folder, and noise of one camera is nothing to lend another.

    Args:
        own: (n, 3, 3, SHIFTS, SHIFTS).
        weight: (n,), flat tiles each is from.
        log_level: (n,), mean ln σ.
        common: (3, 3, SHIFTS, SHIFTS), which counts as one tile.
    """
    distance = (log_level[:, None] - log_level) / ALIKE_LOG_SIGMA
    share = np.exp(-0.5 * distance**2) * weight
    total = share.sum(axis=1)[:, None, None, None, None]
    return (np.tensordot(share, own, axes=1) + common) / (total + 1)
