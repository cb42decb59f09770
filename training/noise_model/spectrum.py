"""Turn an autocovariance into a filter that shapes white noise, and synthesise such noise.

A stationary random field of covariance R has the spectral density S(f) = Σ_d R(d) e^(−2πi f·d), for three
channels a Hermitian 3×3 matrix at each frequency. White noise times S(f)^½ has that density
(Shinozuka & Jan, "Digital simulation of random processes", 1972).
"""

from __future__ import annotations

import numpy as np

from .model import REACH_PX, SHIFTS


def filter_of(covariance: np.ndarray, size_px: int) -> np.ndarray:
    """Return the square root of the spectral density on a torus.

    A covariance that was estimated may give negative densities: these become 0, and the rest is scaled so
    that the mean of the channels' variances is 1.

    Args:
        covariance: (3, 3, SHIFTS, SHIFTS), as in `NoiseModel`.
        size_px: side of the torus, at least 2·REACH_PX + 1.

    Returns:
        complex64 (size, size // 2 + 1, 3, 3), Hermitian, at the frequencies of `rfft2`.
    """
    torus = np.zeros((3, 3, size_px, size_px))
    torus[:, :, :SHIFTS, :SHIFTS] = covariance
    torus = np.roll(torus, (-REACH_PX, -REACH_PX), axis=(2, 3))
    density = np.fft.rfft2(torus).transpose(2, 3, 0, 1)
    density = (density + density.conj().swapaxes(2, 3)) / 2
    values, vectors = np.linalg.eigh(density.astype(np.complex64))
    values = np.maximum(values, 0)
    times = np.full(size_px // 2 + 1, 2.0)  # that a frequency stands for: itself and its opposite
    times[0] = 1
    times[-1] = 1 if size_px % 2 == 0 else 2
    values /= max((values.sum(axis=2) * times).sum() / (3 * size_px**2), 1e-12)
    return (vectors * np.sqrt(values)[..., None, :]) @ vectors.conj().swapaxes(2, 3)


def fields(root: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return Gaussian noise of a spectrum, periodic in both directions.

    Args:
        root: as `filter_of` returns it, for a side of S px.

    Returns:
        float32 (count, 3, S, S), of unit RMS in the mean.
    """
    size = len(root)
    white = rng.standard_normal((count, 3, size, size), dtype=np.float32)
    shaped = _times(root, np.fft.rfft2(white))
    return np.fft.irfft2(shaped, (size, size)).astype(np.float32)


def _times(root: np.ndarray, spectra: np.ndarray) -> np.ndarray:
    """Σ_b root[f, a, b] · spectra[n, b, f]."""
    return np.einsum("ijab,nbij->naij", root.conj(), spectra, optimize=True)
