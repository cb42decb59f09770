"""Methods that learn from pairs: supervised training and Noise2Noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from .base import Batch


class _Pairs:
    """A method whose one loss compares DnNet(x) with the target of x."""

    def __init__(self, denoiser: nn.Module, name: str, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.networks = {"denoiser": denoiser}
        self._name = name
        self._loss = loss

    def draw(self, rng: np.random.Generator, count: int, patch_px: int) -> dict[str, np.ndarray]:
        """Draw nothing: only the crops are random."""
        return {}

    def losses(self, batch: Batch, *, is_initial: bool) -> dict[str, Tensor]:
        """Return the loss by the name of the method."""
        assert batch.target is not None
        return {self._name: self._loss(self.networks["denoiser"](batch.noisy), batch.target)}


class Supervised(_Pairs):
    """L1(DnNet(x), y): the clean original is known; the upper bound for all other methods."""

    def __init__(self, denoiser: nn.Module) -> None:
        super().__init__(denoiser, "supervised", F.l1_loss)


class Noise2Noise(_Pairs):
    """Noise2Noise (Lehtinen et al., 2018): the target is a second noisy copy x' of the same scene.

    Args:
        denoiser: image → image.
        seeks_median: minimise L1, whose minimum is the median of x', where the noise keeps the median of
            a pixel but not its mean (text, salt & pepper below one half); else the squared error, whose
            minimum is the mean, which zero-mean noise keeps.
    """

    def __init__(self, denoiser: nn.Module, *, seeks_median: bool = False) -> None:
        super().__init__(denoiser, "n2n", F.l1_loss if seeks_median else F.mse_loss)
