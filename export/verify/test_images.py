"""Make the noisy images that exported files are verified on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...runtime.images.convert import middle_crop, to_float
from ...runtime.images.image import read_image
from ...runtime.samples import sample_photographs

SIGMA = 25 / 255  # the noise level at which denoisers are usually compared
CAMERA_SIGMA = 4 / 255  # about the noise of a camera
COUNT = 3  # images: enough for varied content, few enough for a Jetson's CPU
_SEED = 20


@dataclass(frozen=True, eq=False)
class TestImages:
    """Noisy images and their clean ones, float32 N×H×W×3 in [0, 1], and a description."""

    __test__ = False  # not a test case of pytest

    noisy: np.ndarray
    clean: np.ndarray
    description: str


def noisy_images(
    height_px: int, width_px: int, *, count: int = COUNT, sigma: float | None = None
) -> TestImages:
    """Return images with Gaussian noise, the same each time.

    They are the centres of the sample photographs of scikit-image and scikit-learn, mirrored at the border
    of smaller ones; if neither package is installed, synthetic images.

    Raises:
        MissingPackageError: OpenCV, which reads the photographs, is not installed.
    """
    sigma = SIGMA if sigma is None else sigma
    rng = np.random.default_rng(_SEED)
    paths = sample_photographs()[:count]
    if paths:
        read = (at_least(to_float(read_image(path).pixels), height_px, width_px) for path in paths)
        clean = [middle_crop(pixels, height_px, width_px) for pixels in read]
        description = f"{len(paths)} sample photograph{'s' if len(paths) > 1 else ''}"
    else:
        clean = [_synthetic(rng, height_px, width_px) for _ in range(count)]
        description = f"{count} synthetic images (no sample photographs: pip install scikit-image)"
    chosen = np.stack([clean[i % len(clean)] for i in range(count)])
    noisy = chosen + sigma * rng.standard_normal(chosen.shape, np.float32)
    described = f"{description}, noise σ = {255 * sigma:.3g}"
    return TestImages(np.clip(noisy, 0, 1, dtype=np.float32), chosen, described)


def at_least(pixels: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """Return an image (H, W, C), mirrored at its borders as far as it is smaller than this."""
    missing = [max(0, height_px - pixels.shape[0]), max(0, width_px - pixels.shape[1])]
    return np.pad(pixels, [(n // 2, n - n // 2) for n in missing] + [(0, 0)], mode="symmetric")


def _synthetic(rng: np.random.Generator, height_px: int, width_px: int) -> np.ndarray:
    """Return smooth shading with edges and texture, float32 H×W×3."""
    y, x = np.mgrid[0:height_px, 0:width_px].astype(np.float32)
    waves = [np.sin(x * fx + y * fy + phase) for fx, fy, phase in rng.uniform(-0.3, 0.3, (6, 3))]
    shading = np.stack([0.5 + 0.2 * waves[i] + 0.15 * (waves[i + 3] > 0) for i in range(3)], axis=-1)
    return np.clip(shading, 0, 1, dtype=np.float32)
