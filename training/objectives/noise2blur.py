"""Noise2Blur, its ablation without gradient interruption, and transforms of ñ before it is added to c."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.symmetry import SYMMETRIES, turn_and_roll
from .base import Batch

REPLACED = 0.2  # |ñ| from which a pixel is taken for replaced by the noise


class Noise2Blur:
    """Algorithm 1 of Noise2Blur (Lin et al., arXiv 1912.01158).

    n_b = x − y_b is the noise plus the detail that the blur took; the noise alone repeats over images
    in a way that detail does not, so that a small network can be taught to give the noise only.

    Args:
        denoiser: DnNet, image → image.
        extractor: NENet, noise map → noise map.
        bounded: bound what the networks feed each other, as `convergence_stage` and `initial_stage`
            describe; the paper does not.
        turn_noise: add ñ to c in one of its eight symmetries and rolled round by a random shift: where
            a trace of x's detail is left in ñ, it then says nothing of c.
        shuffle_channels: permute the colour channels of ñ; for noise that is alike in all three.
        saturate: clip c + ñ to [0, 1], as the sensor clipped x.
        replace: the noise does not add to pixels but takes their place, as salt and pepper and text do:
            where |ñ| of a channel exceeds 0.2 the clean pixel gives way to that of x, elsewhere it stays. The
            difference x − y would be no noise over another y.
    """

    def __init__(
        self,
        denoiser: nn.Module,
        extractor: nn.Module,
        *,
        bounded: bool = True,
        turn_noise: bool = False,
        shuffle_channels: bool = False,
        saturate: bool = False,
        replace: bool = False,
    ) -> None:
        self.networks = {"denoiser": denoiser, "extractor": extractor}
        self._bounded = bounded
        self._turn_noise = turn_noise
        self._shuffle_channels = shuffle_channels
        self._saturate = saturate
        self._replace = replace

    def draw(self, rng: np.random.Generator, count: int, patch_px: int) -> dict[str, np.ndarray]:
        """Draw `turn` (N, 3): symmetry, shift down and shift right; `channels` (N, 3): a permutation."""
        drawn: dict[str, np.ndarray] = {}
        if self._turn_noise:
            drawn["turn"] = rng.integers(0, [SYMMETRIES, patch_px, patch_px], (count, 3))
        if self._shuffle_channels:
            drawn["channels"] = rng.permuted(np.tile(np.arange(3), (count, 1)), axis=1)
        return drawn

    def losses(self, batch: Batch, *, is_initial: bool) -> dict[str, Tensor]:
        """Return `n2b` (and `residual` if bounded) in the initial stage, then `n2b` and `n2c`."""
        return self.initial_stage(batch) if is_initial else self.convergence_stage(batch)

    def initial_stage(self, batch: Batch) -> dict[str, Tensor]:
        """Return L1(ñ, n_b), if bounded + L1(n̂, n_b), for both networks: n̂ = x − DnNet(x), ñ = NENet(n̂).

        The second term is not in the paper: it keeps n̂ at the amplitude of the noise, where otherwise
        any code of it that NENet can read would do.
        """
        detail_and_noise = noise_and_detail(batch)
        residual = batch.noisy - self.networks["denoiser"](batch.noisy)
        noise = self.networks["extractor"](residual)
        losses = {"n2b": F.l1_loss(noise, detail_and_noise)}
        if self._bounded:
            losses["residual"] = F.l1_loss(residual, detail_and_noise)
        return losses

    def convergence_stage(self, batch: Batch) -> dict[str, Tensor]:
        """Return L_n2b, which trains NENet alone, and L_n2c = L1(DnNet(c + ñ), c), which trains DnNet alone.

        The two stopped gradients are the interruption: with them neither network can lower its loss by
        spoiling the other's input. If bounded, what passes from one to the other is clipped to what an
        image and a noise map can be, [0, 1] and [−1, 1]: each network feeds the other, and without a
        bound one bad step grows from step to step.
        """
        with torch.no_grad():
            denoised = self.networks["denoiser"](batch.noisy)
        noise = self.networks["extractor"](batch.noisy - self._bound(denoised, 0, 1))
        degraded = self._degrade(batch, self._bound(noise.detach(), -1, 1))
        return {
            "n2b": F.l1_loss(noise, noise_and_detail(batch)),
            "n2c": F.l1_loss(self.networks["denoiser"](degraded), batch.clean),
        }

    def _degrade(self, batch: Batch, noise: Tensor) -> Tensor:
        """Return c with ñ."""
        if self._replace:
            is_replaced = self._place((noise.abs() > REPLACED).any(1, keepdim=True).expand_as(noise), batch)
            return torch.where(is_replaced, self._place(batch.noisy, batch), batch.clean)
        return self._add(batch.clean, self._place(noise, batch))

    def _add(self, clean: Tensor, noise: Tensor) -> Tensor:
        return (clean + noise).clamp(0, 1) if self._saturate else clean + noise

    def _bound(self, values: Tensor, low: float, high: float) -> Tensor:
        return values.clamp(low, high) if self._bounded else values

    def _place(self, noise: Tensor, batch: Batch) -> Tensor:
        if "turn" in batch.random:
            noise = turn_and_roll(noise, batch.random["turn"])
        if "channels" in batch.random:
            order = batch.random["channels"][:, :, None, None].expand_as(noise)
            noise = noise.gather(1, order)
        return noise


class Noise2BlurUninterrupted(Noise2Blur):
    """N2B_v, the paper's ablation: both losses reach both networks, no gradient is stopped."""

    def convergence_stage(self, batch: Batch) -> dict[str, Tensor]:
        """Return the two losses of Noise2Blur; each trains both networks."""
        residual = batch.noisy - self.networks["denoiser"](batch.noisy)
        noise = self.networks["extractor"](residual)
        degraded = self._degrade(batch, noise)
        return {
            "n2b": F.l1_loss(noise, noise_and_detail(batch)),
            "n2c": F.l1_loss(self.networks["denoiser"](degraded), batch.clean),
        }


def noise_and_detail(batch: Batch) -> Tensor:
    """Return n_b = x − y_b."""
    assert batch.target is not None
    return batch.noisy - batch.target
