"""Whether the labels still hold noise, as they must not: what is left of it there stays in the result."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..runtime.console import warn

MOST_LEFT = 0.2  # of the noise: the default filter leaves 0.1, with 0.25 and more a training suffers
LEAST_SIGMA = 3.0  # grey levels: weaker noise and fine texture look alike, and flat areas have some of that
BLOCK_PX = 16  # larger ones are seldom flat; in those of 8 px noise that a filter has smoothed looks flat too
FLATTEST = 0.05  # share of the blocks that is looked at
LEAST_BLOCKS = 8
BLACK, WHITE, MOST_CLIPPED = 2, 253, 0.05  # values that clip noise, and the share of them that is allowed


def warn_of_noisy_labels(pairs: Iterable[np.ndarray], spec: str) -> None:
    """One line if most labels hold more than `MOST_LEFT` of the noise; none if there is hardly any noise.

    Args:
        pairs: some images, each followed by its label: uint8 (H, W, 6).
        spec: the filter that made the labels.
    """
    measured = [result for pair in pairs if (result := noise_left(pair[..., :3], pair[..., 3:]))]
    if not measured or (sigma := float(np.median([sigma for sigma, _ in measured]))) < LEAST_SIGMA:
        return
    left = float(np.median([left for of_image, left in measured if of_image >= LEAST_SIGMA]))
    if left > MOST_LEFT:
        warn(
            f"labels by {spec} still hold about {left:.0%} of the noise (its σ is {sigma:.1f} grey levels), "
            "and the training will leave it in the images; take a --filter that smooths more, such as "
            "bilateral, gaussian:3 or mean:31"
        )


def noise_left(image: np.ndarray, label: np.ndarray) -> tuple[float, float] | None:
    """The noise in an image, and how much of it is in its label, both measured where the image is flat.

    The standard deviation within blocks, each freed of its mean and slope, is taken of the twentieth of the
    blocks that are flattest in the image: there it is noise. In the label the noise is low in frequency,
    which block deviations show and differences of neighbours would not; the lower quartile over the
    blocks keeps out those where the label has a little texture. On photographs with Gaussian noise of σ 3
    to 50 the result is about that on a grey area: 0.05 to 0.11 by the default filter (on grey 0.08),
    0.25 and 0.57 by bilateral d 9, 75/75 at σ 25 and 50 (0.27 and 0.58).

    Args:
        image, label: uint8 (H, W, 3).

    Returns:
        σ of the noise in grey levels, and the fraction of it in the label; None if the image has too few
        blocks that are neither black nor white, or no noise at all.
    """
    blocks = _blocks(image)
    clipped = ((blocks <= BLACK) | (blocks >= WHITE)).mean(axis=(1, 2, 3))
    usable = clipped <= MOST_CLIPPED
    if usable.sum() < LEAST_BLOCKS:
        return None
    variances = _variances(blocks[usable])
    flattest = np.argsort(variances)[: max(LEAST_BLOCKS, round(FLATTEST * len(variances)))]
    variance = float(variances[flattest].mean())
    if variance == 0:
        return None
    kept = float(np.quantile(_variances(_blocks(label)[usable][flattest]), 0.25))
    return variance**0.5, (kept / variance) ** 0.5


def _blocks(image: np.ndarray) -> np.ndarray:
    """(blocks, BLOCK_PX, BLOCK_PX, 3), as many as there are whole ones."""
    rows, columns = (size // BLOCK_PX for size in image.shape[:2])
    whole = image[: rows * BLOCK_PX, : columns * BLOCK_PX]
    return (
        whole.reshape(rows, BLOCK_PX, columns, BLOCK_PX, 3).swapaxes(1, 2).reshape(-1, BLOCK_PX, BLOCK_PX, 3)
    )


def _variances(blocks: np.ndarray) -> np.ndarray:
    """Variance within each block after its best plane is taken away, mean of the channels."""
    values = blocks.astype(np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    steps = np.arange(BLOCK_PX, dtype=np.float32) - (BLOCK_PX - 1) / 2
    for along in (steps[:, None, None], steps[None, :, None]):
        slope = (values * along).mean(axis=(1, 2), keepdims=True) / (steps**2).mean()
        values -= slope * along
    degrees_of_freedom = BLOCK_PX**2 - 3
    return (values**2).sum(axis=(1, 2)).mean(axis=1) / degrees_of_freedom
