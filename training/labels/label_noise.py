"""Measure noise in the labels, which the result would keep."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ...runtime.images.convert import to_grey_levels
from .bm3d import estimate_sigma

_logger = logging.getLogger(__name__)

MAX_LEFT = 0.2  # of the noise: the default filter leaves 0.1, with 0.25 and more a training suffers
MIN_SIGMA = 3.0  # grey levels: flat areas have texture and shading as strong as weaker noise
MIN_FINE_SIGMA = 1.5  # grey levels, of differences of neighbours: texture is mostly coarser than noise
BLOCK_PX = 16  # larger ones are seldom flat; in those of 8 px noise that a filter has smoothed looks flat too
FLATTEST_SHARE = 0.05  # share of the blocks that is looked at
MIN_BLOCKS = 8
BLACK, WHITE, MAX_CLIPPED = 2, 253, 0.05  # values that clip noise, and the share of them that is allowed


def warn_of_noisy_labels(pairs: Iterable[np.ndarray], spec: str) -> None:
    """Warn if the labels keep more than `MAX_LEFT` of the noise, unless most images have almost none.

    Args:
        pairs: some images, each followed by its label: uint8 or uint16 (H, W, 6).
    """
    pairs = map(to_grey_levels, pairs)
    measured = [measure_noise(pair[..., :3], pair[..., 3:]) for pair in pairs]
    noisy = [noise for noise in measured if noise]
    if 2 * len(noisy) < max(1, len(measured)):
        return
    noisy.sort(key=lambda noise: noise.fine_sigma / noise.sigma)
    plainest = noisy[len(noisy) // 2 :]  # where σ is least of texture
    sigma = float(np.median([noise.sigma for noise in plainest]))
    left = float(np.median([noise.left for noise in plainest]))
    if left > MAX_LEFT:
        _logger.warning(
            f"labels by {spec} still contain about {left:.0%} of the noise (σ {sigma:.1f} grey levels), "
            "and the training will leave it in the images; take a --filter that smooths more, such as "
            "gaussian:3 or mean:31"
        )


@dataclass(frozen=True)
class LabelNoise:
    """The noise of an image, in grey levels, and of its label."""

    sigma: float  # standard deviation
    # the same by differences of neighbours alone; less, where noise is smooth or is texture
    fine_sigma: float
    left: float  # how much of it is in the label, as a part of `sigma`


def measure_noise(image: np.ndarray, label: np.ndarray) -> LabelNoise | None:
    """Measure the noise of an image and the share of it in its label, both in flat areas.

    The standard deviation within blocks, each freed of its mean and slope, is taken of the twentieth of the
    blocks that are flattest in the image: there it is noise. In the label the noise is low in frequency,
    which block deviations show and differences of neighbours would not; the lower quartile over the
    blocks keeps out those where the label has a little texture. On photographs with Gaussian noise of σ 3
    to 50 `left` is about what it is on a grey area: 0.05 to 0.11 by the default filter (on grey 0.08),
    0.25 and 0.57 by bilateral d 9, 75/75 at σ 25 and 50 (0.27 and 0.58).

    Args:
        image, label: (H, W, 3), grey levels of 0..255.

    Returns:
        None if too few blocks are neither black nor white, or there is no noise distinguishable from
        texture.
    """
    blocks = _blocks(image)
    clipped = ((blocks <= BLACK) | (blocks >= WHITE)).mean(axis=(1, 2, 3))
    usable = np.flatnonzero(clipped <= MAX_CLIPPED)
    if len(usable) < MIN_BLOCKS:
        return None
    variances = _variances(blocks[usable])
    order = np.argsort(variances)[: max(MIN_BLOCKS, round(FLATTEST_SHARE * len(variances)))]
    flattest = usable[order]
    sigma = float(variances[order].mean()) ** 0.5
    fine_sigma = estimate_sigma(blocks[flattest].reshape(-1, BLOCK_PX, 3))
    if sigma < MIN_SIGMA or fine_sigma < MIN_FINE_SIGMA:
        return None
    kept = float(np.quantile(_variances(_blocks(label)[flattest]), 0.25)) ** 0.5
    return LabelNoise(sigma, fine_sigma, kept / sigma)


def _blocks(image: np.ndarray) -> np.ndarray:
    """Return the whole blocks of an image, (blocks, BLOCK_PX, BLOCK_PX, 3)."""
    rows, columns = (size // BLOCK_PX for size in image.shape[:2])
    whole = image[: rows * BLOCK_PX, : columns * BLOCK_PX]
    return (
        whole.reshape(rows, BLOCK_PX, columns, BLOCK_PX, 3).swapaxes(1, 2).reshape(-1, BLOCK_PX, BLOCK_PX, 3)
    )


def _variances(blocks: np.ndarray) -> np.ndarray:
    """Return the variance of each block minus its least-squares plane, mean of the channels."""
    values = blocks.astype(np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    steps = np.arange(BLOCK_PX, dtype=np.float32) - (BLOCK_PX - 1) / 2
    for along in (steps[:, None, None], steps[None, :, None]):
        slope = (values * along).mean(axis=(1, 2), keepdims=True) / (steps**2).mean()
        values -= slope * along
    degrees_of_freedom = BLOCK_PX**2 - 3
    return (values**2).sum(axis=(1, 2)).mean(axis=1) / degrees_of_freedom
