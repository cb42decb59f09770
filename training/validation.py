"""Validation on synthetic noise: PSNR of the result, and how much of the noise ñ holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from ..runtime.metrics import psnr
from .noise import Noise

MOST_IMAGES = 8
CROP_PX = 128


class Validation:
    """Noisy crops from the middle of clean photographs, measured whenever asked.

    Args:
        photographs: clean, uint8 (H, W, 3); the first eight serve.
        noise: what is added to them.
        seed: makes the noise the same at every call and in every run.
    """

    def __init__(self, photographs: Sequence[np.ndarray], noise: Noise, seed: int) -> None:
        self._clean = [_middle(image) for image in photographs[:MOST_IMAGES]]
        self._noisy = [noise(c, np.random.default_rng([seed, 2, i])) for i, c in enumerate(self._clean)]

    @torch.no_grad()
    def measure(
        self, networks: dict[str, nn.Module], device: torch.device
    ) -> tuple[dict[str, float], np.ndarray]:
        """How good the result is.

        Returns:
            `psnr_db`, `psnr_noisy_db`: means over the crops; with an extractor `gain` = ⟨ñ,n⟩/⟨n,n⟩ over all
            of them: about 0.93 when the training works; under 0.8 late means a label that still holds
            noise, or collapse. And one picture: noisy | denoised | clean, uint8 (H, 3·W, 3).
        """
        results = [self._denoise(networks["denoiser"], noisy, device) for noisy in self._noisy]
        pictures = [_to_uint8(result) for _, result in results]
        values = {
            "psnr_db": _mean_psnr(pictures, self._clean),
            "psnr_noisy_db": _mean_psnr(self._noisy, self._clean),
        }
        if "extractor" in networks:
            extracted = [_to_hwc(networks["extractor"](x - result)) for x, result in results]
            noise = [(n.astype(np.float64) - c) / 255 for n, c in zip(self._noisy, self._clean, strict=True)]
            energy = sum(float((n**2).sum()) for n in noise)
            values["gain"] = sum(float((e * n).sum()) for e, n in zip(extracted, noise, strict=True)) / max(
                energy, 1e-9
            )
        return values, np.concatenate([self._noisy[0], pictures[0], self._clean[0]], axis=1)

    @staticmethod
    def _denoise(
        denoiser: nn.Module, noisy: np.ndarray, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.from_numpy(noisy).to(device).permute(2, 0, 1)[None].float() / 255
        return x, denoiser(x).clamp(0, 1)


def _mean_psnr(images: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> float:
    return float(
        np.mean([psnr(image, reference) for image, reference in zip(images, references, strict=True)])
    )


def _middle(image: np.ndarray) -> np.ndarray:
    height, width = (min(side, CROP_PX) for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _to_hwc(x: torch.Tensor) -> np.ndarray:
    return x[0].permute(1, 2, 0).float().cpu().numpy()


def _to_uint8(x: torch.Tensor) -> np.ndarray:
    return np.rint(_to_hwc(x).clip(0, 1) * 255).astype(np.uint8)
