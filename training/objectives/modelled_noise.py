"""Noise2Blur with a noise model: most noise is synthesised, and ñ is bounded by the model.

Without a model ñ can diverge. It fades, since ñ = 0 with DnNet the identity is a fixed point; or it takes in
detail, which teaches DnNet to remove detail, which puts more of it into ñ. A model of the camera's noise
stops both: NENet is trained on known noise too, ñ gets the level of the model, and where ñ is not noise
the model's noise replaces it.
"""

from __future__ import annotations

import logging
from collections import deque

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..noise_model.bank import NoiseBank, brightness_of
from .base import Batch
from .flat_area import BLOCK_PX, flattest_rms, mean_error
from .noise2blur import Noise2Blur, noise_and_detail

_logger = logging.getLogger(__name__)

MOST_FACTOR = 2.5  # ñ weaker or stronger than the model by more is none
MOST_LIKENESS = 0.3  # correlation with the image, at which no ñ is used any more
WATCHED_STEPS = 200
FEWEST_USED = 0.5  # of ñ: with fewer the log says so


class ModelledNoise2Blur(Noise2Blur):
    """Noise2Blur in which a noise model makes most of the noise.

    DnNet learns on c + noise: synthesised for most crops, and for a share, after the first stage, ñ: only ñ
    knows what the model cannot express, such as noise that is not Gaussian, or other in texture. Each ñ
    is divided by the level of its image at the brightness of ŷ, scaled so that its flattest blocks are as
    strong as the model's noise, and multiplied by the level at the brightness of c.

    With ρ the correlation of ñ with detail, ñ is used with probability 1 − ρ/0.3, and not at all if it had
    to be scaled by more than 2.5 either way; else the model's noise is used.

    NENet learns ñ ≈ n_b as ever, and that of c + n, where n is synthesised, it has to give n.

    Args:
        denoiser, extractor: DnNet and NENet.
        bank: the noise.
        extracted_share: how much of each batch, after the first stage, is offered ñ, in [0, 1).
        gain: range of the random factor on what is added to c, evenly in its logarithm.
        root_mean_square: L_n2c of each crop is the root mean square in place of the mean absolute error.
        saturate: clip c + noise to [0, 1], as the sensor clipped x.
    """

    def __init__(
        self,
        denoiser: nn.Module,
        extractor: nn.Module,
        *,
        bank: NoiseBank,
        extracted_share: float,
        gain: tuple[float, float],
        root_mean_square: bool = True,
        saturate: bool = True,
    ) -> None:
        super().__init__(denoiser, extractor, saturate=saturate)
        self._bank = bank
        self._extracted_share = extracted_share
        self._gain = gain
        self._root_mean_square = root_mean_square
        self._watched: deque[Tensor] = deque(maxlen=WATCHED_STEPS)
        self._warned = False

    def draw(self, rng: np.random.Generator, count: int, patch_px: int) -> dict[str, np.ndarray]:
        """Draw those of the bank, `gain` (N,), and `luck` (N,) in [0, 1), which decides if ñ is used."""
        low, high = np.log(np.maximum(self._gain, 1e-3))
        return {
            **self._bank.draw(rng, count),
            "gain": np.exp(rng.uniform(low, high, count)).astype(np.float32),
            "luck": rng.random(count, dtype=np.float32),
        }

    def initial_stage(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of the convergence stage; ñ is learned and not used yet."""
        return self._losses(batch, uses_extracted=False)

    def convergence_stage(self, batch: Batch) -> dict[str, Tensor]:
        """Return `n2c` = L(DnNet(c + noise), c), `n2b` = L1(ñ, n_b), `n2n` = L1(NENet of c + n, n)."""
        return self._losses(batch, uses_extracted=True)

    def _losses(self, batch: Batch, *, uses_extracted: bool) -> dict[str, Tensor]:
        known = self._bank.over(batch.clean, batch.random) * batch.random["gain"][:, None, None, None]
        count = round(self._extracted_share * len(batch.noisy)) or 1
        offered = batch.part(slice(count))
        loss_n2b, extracted, denoised = self._extract(offered)
        noise = known
        if uses_extracted and self._extracted_share:
            used = self._allowed(extracted, denoised, offered, known[:count])
            noise = torch.cat([used, known[count:]])
        degraded = self._add(batch.clean, noise)
        result = self.networks["denoiser"](degraded)
        rest = slice(count, 2 * count)  # crops with the model's noise
        left = (degraded - result.detach().clamp(0, 1))[rest]
        given = (degraded - batch.clean)[rest]
        return {
            "n2b": loss_n2b,
            "n2n": F.l1_loss(self.networks["extractor"](left), given) if len(left) else loss_n2b * 0,
            "n2c": mean_error(result - batch.clean, root_mean_square=self._root_mean_square),
        }

    def _extract(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return L1(ñ, n_b), ñ and ŷ."""
        with torch.no_grad():
            denoised = self.networks["denoiser"](batch.noisy).clamp(0, 1)
        noise = self.networks["extractor"](batch.noisy - denoised)
        return F.l1_loss(noise, noise_and_detail(batch)), noise.detach().clamp(-1, 1), denoised

    @torch.no_grad()
    def _allowed(self, extracted: Tensor, denoised: Tensor, batch: Batch, known: Tensor) -> Tensor:
        """Return ñ for the clean crops at the model's level, or `known` where ñ is no noise."""
        assert batch.image is not None
        level = self._bank.level(batch.image, brightness_of(denoised)).clamp_min(0.05) / 255
        unit = extracted / level
        wanted = self._bank.level(batch.random["of_image"], brightness_of(batch.clean)) / 255
        factor = flattest_rms(known / wanted / batch.random["gain"][:, None, None, None])
        factor = factor / flattest_rms(unit).clamp_min(1e-4)
        own = self._bank.level(batch.image, brightness_of(batch.clean)) / 255
        noise = unit * (factor * batch.random["gain"])[:, None, None, None] * own
        is_noise = (factor < MOST_FACTOR) & (factor > 1 / MOST_FACTOR)
        likeness = likeness_to_detail(unit, denoised)
        is_used = is_noise & (batch.random["luck"] < 1 - likeness / MOST_LIKENESS)
        self._watch(is_used)
        return torch.where(is_used[:, None, None, None], noise, known)

    def _watch(self, is_used: Tensor) -> None:
        """Warn, once, if most ñ of 200 steps were not used."""
        if self._warned:
            return
        self._watched.append(is_used.float().mean())
        if len(self._watched) == WATCHED_STEPS:
            share = float(torch.stack(list(self._watched)).mean())
            self._watched.clear()
            if share < FEWEST_USED:
                self._warned = True
                _logger.warning(
                    f"{100 * (1 - share):.0f} % of the extracted noise holds detail or has faded; the noise "
                    "model's takes its place"
                )


def likeness_to_detail(noise: Tensor, image: Tensor) -> Tensor:
    """Return |correlation| of noise with its image's detail, or of their block energies if larger: (N,).

    Args:
        noise: N×3×H×W.
        image: N×3×H×W in [0, 1], without noise; detail is what differs from the mean of 9×9 px.
    """
    detail = image - F.avg_pool2d(F.pad(image, (4,) * 4, mode="replicate"), 9, 1)
    direct = _correlation(noise.flatten(1), detail.flatten(1)).abs()
    energies = (
        F.avg_pool2d(values.square().mean(1, keepdim=True), BLOCK_PX).sqrt().flatten(1)
        for values in (noise, detail)
    )
    return torch.maximum(direct, _correlation(*energies))


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp_min(1e-9)
