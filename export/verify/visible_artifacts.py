"""What a viewer would see of an artifact's rounding: bands in a smooth sky, a shift of colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...runtime.images.metrics import psnr

MOST_BANDING = 0.10  # of the distinct levels of a smooth gradient
MOST_SHIFT = 0.2  # grey levels, mean of a channel


@dataclass(frozen=True, eq=False)
class Look:
    """Results beside their reference's.

    Attributes:
        psnr_clean_db: PSNR to the clean pictures.
        reference_clean_db: that of the reference.
        levels: distinct values per channel of a smooth gradient's result, over those of the reference.
        shift: mean of result less reference of each channel over the pictures, in grey levels.
        noisy, result, expected: the first picture, uint8 or float32 H×W×3.
    """

    psnr_clean_db: float
    reference_clean_db: float
    levels: float
    shift: tuple[float, ...]
    noisy: np.ndarray
    result: np.ndarray
    expected: np.ndarray

    @property
    def loss_db(self) -> float:
        """What rounding costs of the PSNR to the clean pictures."""
        return self.reference_clean_db - self.psnr_clean_db

    @property
    def faults(self) -> list[str]:
        """What is more than a viewer should see, in words."""
        faults = []
        if abs(self.levels - 1) > MOST_BANDING:
            faults.append(f"a smooth gradient has {self.levels:.0%} of its levels")
        if max(map(abs, self.shift)) > MOST_SHIFT:
            faults.append(f"colours shift by {max(self.shift, key=abs):+.2f} grey levels")
        return faults


def gradient(height_px: int, width_px: int) -> np.ndarray:
    """A sky: brightness that falls smoothly from one corner to the other, float32 H×W×3 in [0, 1]."""
    y = np.linspace(0, 1, height_px, dtype=np.float32)[:, None]
    x = np.linspace(0, 1, width_px, dtype=np.float32)[None]
    ramp = 0.25 + 0.35 * y + 0.15 * x
    return np.stack([0.8 * ramp, 0.9 * ramp, ramp + 0.1], axis=2)


def compare_looks(noisy: np.ndarray, results: np.ndarray, expected: np.ndarray, clean: np.ndarray) -> Look:
    """Measure results of pictures with `gradient` as the last of them.

    Args:
        noisy, results, expected: N×H×W×3, uint8 or float32 in [0, 1].
        clean: (N − 1)×H×W×3, float32.
    """
    scale = 1 if results.dtype == np.uint8 else 255
    pictures = slice(0, len(clean))
    difference = (results[pictures].astype(np.float64) - expected[pictures]) * scale
    return Look(
        psnr_clean_db=psnr(_to_float(results[pictures]), clean),
        reference_clean_db=psnr(_to_float(expected[pictures]), clean),
        levels=_distinct(results[-1]) / max(_distinct(expected[-1]), 1),
        shift=tuple(difference.mean(axis=(0, 1, 2)).tolist()),
        noisy=noisy[0],
        result=results[0],
        expected=expected[0],
    )


def _distinct(image: np.ndarray) -> int:
    """Distinct 8-bit values, over all channels."""
    levels = image if image.dtype == np.uint8 else np.rint(255 * image).astype(np.uint8)
    return sum(len(np.unique(levels[..., channel])) for channel in range(levels.shape[2]))


def _to_float(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32) / 255 if images.dtype == np.uint8 else images
