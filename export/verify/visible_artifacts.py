"""Measure the visible artifacts of rounding: banding in a smooth sky, a shift of colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...runtime.images.convert import to_float, to_uint8
from ...runtime.images.metrics import psnr

MAX_BANDING = 0.10  # of the distinct levels of a smooth gradient
MAX_SHIFT = 0.2  # grey levels, mean of a channel


@dataclass(frozen=True, eq=False)
class VisibleArtifacts:
    """Comparison of results with those of their reference."""

    psnr_clean_db: float  # PSNR to the clean images
    reference_clean_db: float  # that of the reference
    levels: float  # distinct values of a smooth gradient's result, relative to the reference's
    shift: tuple[float, ...]  # mean of result less reference of each channel over the images, in grey levels
    noisy: np.ndarray  # noisy, result, expected: the first image, uint8 or float32 H×W×3
    result: np.ndarray
    expected: np.ndarray

    @property
    def loss_db(self) -> float:
        """Loss of PSNR to the clean images by rounding."""
        return self.reference_clean_db - self.psnr_clean_db

    @property
    def faults(self) -> list[str]:
        """A phrase for each artifact that is beyond its limit."""
        faults = []
        if abs(self.levels - 1) > MAX_BANDING:
            faults.append(f"a smooth gradient has {self.levels:.0%} of its levels")
        if max(map(abs, self.shift)) > MAX_SHIFT:
            faults.append(f"colours shift by {max(self.shift, key=abs):+.2f} grey levels")
        return faults


def gradient(height_px: int, width_px: int) -> np.ndarray:
    """Return a sky whose brightness falls smoothly between two corners, float32 H×W×3 in [0, 1]."""
    y = np.linspace(0, 1, height_px, dtype=np.float32)[:, None]
    x = np.linspace(0, 1, width_px, dtype=np.float32)[None]
    ramp = 0.25 + 0.35 * y + 0.15 * x
    return np.stack([0.8 * ramp, 0.9 * ramp, ramp + 0.1], axis=2)


def measure_artifacts(
    noisy: np.ndarray, results: np.ndarray, expected: np.ndarray, clean: np.ndarray
) -> VisibleArtifacts:
    """Compare the results of images, the last of which is `gradient`, with the reference's.

    Args:
        noisy, results, expected: N×H×W×3, uint8 or float32 in [0, 1].
        clean: (N − 1)×H×W×3, float32.
    """
    scale = 1 if results.dtype == np.uint8 else 255
    images = slice(0, len(clean))
    difference = (results[images].astype(np.float64) - expected[images]) * scale
    return VisibleArtifacts(
        psnr_clean_db=psnr(to_float(results[images]), clean),
        reference_clean_db=psnr(to_float(expected[images]), clean),
        levels=_distinct(results[-1]) / max(_distinct(expected[-1]), 1),
        shift=tuple(difference.mean(axis=(0, 1, 2)).tolist()),
        noisy=noisy[0],
        result=results[0],
        expected=expected[0],
    )


def _distinct(image: np.ndarray) -> int:
    """Return the number of distinct 8-bit values, summed over the channels."""
    return sum(len(np.unique(channel)) for channel in np.moveaxis(to_uint8(image), 2, 0))
