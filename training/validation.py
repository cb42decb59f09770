"""Validation on synthetic noise: PSNR of the result, and how much of the noise ñ holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from ..runtime.metrics import psnr
from .noise import Noise

MOST_IMAGES = 8
CROP_PX = 256


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
        """Means over the crops, and one picture: noisy | denoised | clean.

        Returns:
            `psnr_db`, `psnr_noisy_db`, and with an extractor `gain` = ⟨ñ,n⟩/⟨n,n⟩: about 0.93 when the
            training works; under 0.8 late means a label that still holds noise, or collapse.
        """
        values: dict[str, list[float]] = {"psnr_db": [], "psnr_noisy_db": []}
        picture = None
        for clean, noisy in zip(self._clean, self._noisy, strict=True):
            x = torch.from_numpy(noisy).to(device).permute(2, 0, 1)[None].float() / 255
            result = networks["denoiser"](x)
            denoised = _to_uint8(result)
            values["psnr_db"].append(psnr(denoised, clean))
            values["psnr_noisy_db"].append(psnr(noisy, clean))
            if "extractor" in networks:
                noise = noisy.astype(np.float64) - clean
                extracted = _to_hwc(networks["extractor"](x - result)) * 255
                values.setdefault("gain", []).append(
                    float((extracted * noise).sum() / max((noise**2).sum(), 1e-9))
                )
            if picture is None:
                picture = np.concatenate([noisy, denoised, clean], axis=1)
        assert picture is not None
        return {name: float(np.mean(v)) for name, v in values.items()}, picture


def _middle(image: np.ndarray) -> np.ndarray:
    height, width = (min(side, CROP_PX) for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _to_hwc(x: torch.Tensor) -> np.ndarray:
    return x[0].permute(1, 2, 0).float().cpu().numpy()


def _to_uint8(x: torch.Tensor) -> np.ndarray:
    return np.rint(_to_hwc(x).clip(0, 1) * 255).astype(np.uint8)
