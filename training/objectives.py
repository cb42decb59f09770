"""What a training step minimises. One interface for every method, so that one loop serves all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import INITIAL_STAGE


@dataclass(frozen=True)
class Batch:
    """Crops, float32 N×3×H×W in [0, 1]."""

    noisy: Tensor  # x = y + n
    label: Tensor  # y_b = blur(x)
    clean: Tensor  # c, unrelated to x


class Objective(Protocol):
    """A method: which networks it trains, and the losses of a step.

    The loop adds the losses up, goes backward once and steps one optimiser a network; which loss
    reaches which network is decided here, by where gradients are stopped.
    """

    networks: dict[str, nn.Module]  # "denoiser" is the one that is kept

    def losses(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Scalar losses by name at `progress` ∈ [0, 1) through the training."""
        ...


class Noise2Blur:
    """Algorithm 1 of Noise2Blur (Lin et al., arXiv 1912.01158).

    n_b = x − y_b is the noise plus the detail that the blur took; the noise alone repeats over images
    in a way that detail does not, so that a small network can be taught to give the noise only.
    """

    def __init__(self, denoiser: nn.Module, extractor: nn.Module) -> None:
        self.networks = {"denoiser": denoiser, "extractor": extractor}

    def losses(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """`n2b` and `residual` in the initial stage, then `n2b` and `n2c`."""
        if progress < INITIAL_STAGE:
            return self.initial_stage(batch)
        return self.convergence_stage(batch)

    def initial_stage(self, batch: Batch) -> dict[str, Tensor]:
        """Both networks as one: ñ = NENet(n̂), n̂ = x − DnNet(x), L1(ñ, n_b) + L1(n̂, n_b).

        The second term is not in the paper: it keeps n̂ at the amplitude of the noise, where otherwise
        any code of it that NENet can read would do.
        """
        target = batch.noisy - batch.label
        residual = batch.noisy - self.networks["denoiser"](batch.noisy)
        noise = self.networks["extractor"](residual)
        return {"n2b": F.l1_loss(noise, target), "residual": F.l1_loss(residual, target)}

    def convergence_stage(self, batch: Batch) -> dict[str, Tensor]:
        """L_n2b trains NENet alone, L_n2c = L1(DnNet(c + ñ), c) trains DnNet alone.

        The two stopped gradients are the interruption: with them neither network can lower its loss by
        spoiling the other's input. What passes from one to the other is clipped to what an image and a
        noise map can be, [0, 1] and [−1, 1]: each network feeds the other, and without a bound one bad
        step grows from step to step. c + ñ itself is not clipped, that would bend its statistics.
        """
        noise = self.networks["extractor"](batch.noisy - self._denoised(batch.noisy))
        degraded = batch.clean + noise.detach().clamp(-1, 1)
        return {
            "n2b": F.l1_loss(noise, batch.noisy - batch.label),
            "n2c": F.l1_loss(self.networks["denoiser"](degraded), batch.clean),
        }

    @torch.no_grad()
    def _denoised(self, noisy: Tensor) -> Tensor:
        return self.networks["denoiser"](noisy).clamp(0, 1)
