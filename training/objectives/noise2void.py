"""Noise2Void: predict a masked pixel of a single noisy image from its neighbours."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from .base import Batch

CELL_PX = 8  # one blind spot in each cell of this size: 1.6 % of the pixels
REACH_PX = 2  # the replacement comes from at most this far: a window of 5×5


class Noise2Void:
    """Noise2Void (Krull et al., CVPR 2019) by masking.

    In each cell of 8×8 px one pixel takes the value of a neighbour in the 5×5 window round it; the
    squared error is taken at these pixels alone, against their own noisy values. The network cannot
    learn the noise of a pixel that it does not see, if the noise of neighbours is independent.

    Args:
        denoiser: image → image.
    """

    def __init__(self, denoiser: nn.Module) -> None:
        self.networks = {"denoiser": denoiser}

    def draw(self, rng: np.random.Generator, count: int, patch_px: int) -> dict[str, np.ndarray]:
        """Draw `spot` and `source`, (N, cells): indices of masked and shown pixels in the flattened crop."""
        corners = np.arange(0, patch_px - CELL_PX + 1, CELL_PX)
        top, left = (axis.ravel() for axis in np.meshgrid(corners, corners, indexing="ij"))
        cells = (count, top.size)
        row = top + rng.integers(0, CELL_PX, cells)
        column = left + rng.integers(0, CELL_PX, cells)
        window = 2 * REACH_PX + 1
        neighbour = rng.integers(1, window**2, cells)  # the window's places, counted from its own centre
        neighbour = (neighbour + window**2 // 2) % window**2
        down, right = neighbour // window - REACH_PX, neighbour % window - REACH_PX
        return {
            "spot": row * patch_px + column,
            "source": _reflect(row + down, patch_px) * patch_px + _reflect(column + right, patch_px),
        }

    def losses(self, batch: Batch, *, is_initial: bool) -> dict[str, Tensor]:
        """Return `n2v`."""
        noisy = batch.noisy.flatten(2)
        spot, source = (
            batch.random[name][:, None, :].expand(-1, noisy.shape[1], -1) for name in ("spot", "source")
        )
        masked = noisy.scatter(2, spot, noisy.gather(2, source)).view_as(batch.noisy)
        predicted = self.networks["denoiser"](masked).flatten(2)
        return {"n2v": F.mse_loss(predicted.gather(2, spot), noisy.gather(2, spot))}


def _reflect(position: np.ndarray, size: int) -> np.ndarray:
    """Reflect positions outside of 0..size − 1 at the border pixel."""
    return size - 1 - np.abs(size - 1 - np.abs(position))
