"""Noise2Blur with the noise of flat areas: purer than what is extracted, and it does not fade."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.flat_noise import FlatNoise
from .base import Batch
from .noise2blur import Noise2Blur, noise_and_detail

BLOCK_PX = 8
FLATTEST_SHARE = 0.25  # the quantile of a crop's blocks that is taken for noise without detail
ANCHOR_RANGE = (0.5, 3.0)
ENOUGH_PATCHES = 256  # of bare noise: fewer would be learned by heart, and serve for less of a batch


class FlatAreaNoise2Blur(Noise2Blur):
    """Noise2Blur with the noise of flat areas next to ñ.

    ñ keeps traces of the detail of its image, and what DnNet leaves in is missing from it: with bare noise
    for most of a batch DnNet learns nearly what it learns from clean targets. A camera's own noise, weak
    and correlated over pixels, needs it all the more: plain Noise2Blur has a fixed point at ñ = 0 with
    DnNet the identity, and falls into it.

    DnNet learns from the start on c + the bare noise of flat areas (`FlatNoise`), as strong as the source
    makes it at the brightness of c, while NENet learns to extract ñ from what DnNet leaves; after that on
    both, since only ñ knows the noise of textures and of what flat areas do not show.

    Args:
        denoiser, extractor: DnNet and NENet.
        flat: noise of flat areas, if there is any.
        extracted_share: how much of each batch, after the first stage, has ñ added and not the noise of flat
            areas, in (0, 1]; at least one crop, and more with fewer than 256 patches from flat areas.
        anchor: scale each ñ so that the 25th percentile of the RMS of its 8×8 blocks is that of n_b in the
            same crop (by a factor of 0.5 to 3): in a crop's flattest blocks n_b is the noise.
        gain: range of the random factor on what is added to c, so that DnNet sees weak and strong noise.
        root_mean_square: L_n2c of each crop is the root mean square in place of the mean absolute error:
            noise over the few bright or dark parts of a crop then counts as PSNR counts it.
    """

    def __init__(
        self,
        denoiser: nn.Module,
        extractor: nn.Module,
        *,
        flat: FlatNoise | None,
        extracted_share: float,
        anchor: bool,
        gain: tuple[float, float],
        root_mean_square: bool,
        turn_noise: bool = False,
        shuffle_channels: bool = False,
        saturate: bool = False,
    ) -> None:
        super().__init__(
            denoiser, extractor, turn_noise=turn_noise, shuffle_channels=shuffle_channels, saturate=saturate
        )
        self._flat = flat if flat is not None and len(flat) else None
        enough = min(1.0, len(self._flat) / ENOUGH_PATCHES) if self._flat is not None else 0.0
        self._bare_share = enough * (1 - extracted_share)
        self._anchors = anchor
        self._gain = gain
        self._root_mean_square = root_mean_square

    def draw(self, rng: np.random.Generator, count: int, patch_px: int) -> dict[str, np.ndarray]:
        """Draw those of Noise2Blur, `gain` and `sign` (N,), `flat` (N, cells), `flipped` (N, cells, 2)."""
        drawn = super().draw(rng, count, patch_px)
        drawn["gain"] = rng.uniform(*self._gain, count).astype(np.float32)
        if self._flat is not None:
            cells = math.ceil(patch_px / self._flat.size_px) ** 2
            drawn["sign"] = rng.choice(np.array([-1, 1], np.float32), count)
            drawn["flat"] = self._flat.draw(rng, count, cells)
            drawn["flipped"] = rng.random((count, cells, 2)) < 0.5
        return drawn

    def initial_stage(self, batch: Batch) -> dict[str, Tensor]:
        """Return `n2b` and `n2c`: DnNet on c + noise of flat areas, NENet on half of the noisy crops."""
        if self._flat is None:
            return super().initial_stage(batch)
        half = batch.part(slice(len(batch.noisy) // 2 or 1))
        return {"n2b": self._n2b(half)[0], "n2c": self._n2c(self._bare_noise(batch), batch)}

    def convergence_stage(self, batch: Batch) -> dict[str, Tensor]:
        """Return `n2b` and `n2c`: `extracted_share` of the clean crops with ñ, the rest with bare noise."""
        count = len(batch.noisy)
        bare = min(round(self._bare_share * count), count - 1)
        rest = batch.part(slice(bare, None))
        loss, noise = self._n2b(rest)
        noise = noise.detach().clamp(-1, 1)
        if self._anchors:
            noise = anchored(noise, noise_and_detail(rest))
        noise = self._place(noise * rest.random["gain"][:, None, None, None], rest)
        if bare:
            noise = torch.cat([self._bare_noise(batch.part(slice(bare))), noise])
        return {"n2b": loss, "n2c": self._n2c(noise, batch)}

    def _n2b(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return L1(ñ, n_b), and ñ."""
        with torch.no_grad():
            denoised = self.networks["denoiser"](batch.noisy).clamp(0, 1)
        noise = self.networks["extractor"](batch.noisy - denoised)
        return F.l1_loss(noise, noise_and_detail(batch)), noise

    def _n2c(self, noise: Tensor, batch: Batch) -> Tensor:
        """Return L(DnNet(c + noise), c)."""
        error = self.networks["denoiser"](self._add(batch.clean, noise)) - batch.clean
        return mean_error(error, root_mean_square=self._root_mean_square)

    def _bare_noise(self, batch: Batch) -> Tensor:
        """Return noise of flat areas for each clean crop: one patch, or several of one image side by side."""
        assert self._flat is not None
        strength = (batch.random["gain"] * batch.random["sign"])[:, None, None, None]
        height, width = batch.clean.shape[-2:]
        cells = into_cells(batch.clean, self._flat.size_px)
        noise = self._flat.at(batch.random["flat"].flatten(), batch.random["flipped"].flatten(0, 1), cells)
        return strength * from_cells(noise, len(batch.clean))[..., :height, :width]


def into_cells(images: Tensor, size_px: int) -> Tensor:
    """Cut squares N×C×S×S, row by row, into k² squares of `size_px`: (N·k²)×C×size×size.

    Where S is no multiple the last row and column are repeated.
    """
    missing = -images.shape[-1] % size_px
    if missing:
        images = F.pad(images, (0, missing, 0, missing), mode="replicate")
    count, channels, side, _ = images.shape
    k = side // size_px
    cells = images.reshape(count, channels, k, size_px, k, size_px).permute(0, 2, 4, 1, 3, 5)
    return cells.reshape(count * k * k, channels, size_px, size_px)


def from_cells(cells: Tensor, count: int) -> Tensor:
    """Return the inverse of `into_cells`, for `count` images."""
    total, channels, size_px, _ = cells.shape
    k = math.isqrt(total // count)
    images = cells.reshape(count, k, k, channels, size_px, size_px).permute(0, 3, 1, 4, 2, 5)
    return images.reshape(count, channels, k * size_px, k * size_px)


def anchored(noise: Tensor, detail_and_noise: Tensor) -> Tensor:
    """Scale ñ so that it is as strong as n_b in the flattest blocks of its crop; both N×3×H×W."""
    wanted, present = (flattest_rms(values) for values in (detail_and_noise, noise))
    factor = (wanted / present.clamp_min(1e-4)).clamp(*ANCHOR_RANGE)
    return noise * factor[:, None, None, None]


def mean_error(error: Tensor, *, root_mean_square: bool) -> Tensor:
    """Return the mean absolute error, or the mean of each crop's root mean square: a scalar."""
    if root_mean_square:
        return (error.square().mean(dim=(1, 2, 3)) + 1e-6).sqrt().mean()
    return error.abs().mean()


def flattest_rms(values: Tensor) -> Tensor:
    """Return the 25th percentile of the RMS of 8×8 blocks of each sample, (N,)."""
    blocks = F.avg_pool2d(values.float().square().mean(1, keepdim=True), BLOCK_PX).sqrt().flatten(1)
    return torch.quantile(blocks, FLATTEST_SHARE, dim=1)
