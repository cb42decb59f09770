"""Measure a run while it trains, and keep snapshots for its report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ...runtime.images.convert import from_float, middle_crop, to_float, to_uint8
from ...runtime.images.metrics import psnr
from ...runtime.system.files import atomic_path
from ..models.value_transform import from_domain, to_domain
from ..noise import Noise

VALIDATIONS = 20  # in a run
MAX_IMAGES = 8
CROP_PX = 128
SNAPSHOTS = "snapshots"


class Validation:
    """Denoises and measures centre crops of images during the training.

    Args:
        images: (H, W, 3), the first eight are used: clean photographs if there is synthetic noise to add to
            them, uint8, else noisy images, uint8 or uint16.
        noise: synthetic noise to add; None: the images are noisy.
        domain: "linear" or "log", in which the networks work.
        seed: makes the noise the same at every call and in every run.
    """

    def __init__(
        self, images: Sequence[np.ndarray], noise: Noise | None, domain: str = "linear", seed: int = 0
    ) -> None:
        crops = [middle_crop(image, CROP_PX) for image in images[:MAX_IMAGES]]
        self._clean = crops if noise else []
        self._noisy = crops
        if noise:
            self._noisy = [noise(c, np.random.default_rng([seed, 2, i])) for i, c in enumerate(crops)]
        self._domain = domain

    @torch.no_grad()
    def measure(
        self, networks: dict[str, nn.Module], device: torch.device
    ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """Measure the networks on the crops.

        Returns:
            With synthetic noise `psnr_db`, `psnr_noisy_db`: means over the crops; with an extractor also
            `gain` = ⟨ñ,n⟩/⟨n,n⟩ over all of them: about 0.93 when the training works; under 0.8 late means
            a label that still holds noise, or collapse. With real noise and an extractor
            `noise_map`: the standard deviation of ñ in grey levels, which must not shrink to 0.
            And the first crop: `noisy`, `denoised`, with synthetic noise `clean` (uint8 (H, W, 3)), with an
            extractor `residual` n̂ and `extracted` ñ (float16 (H, W, 3), grey levels).
        """
        results = [self._denoise(networks["denoiser"], noisy, device) for noisy in self._noisy]
        dtype = self._noisy[0].dtype
        denoised = [from_float(_to_hwc(from_domain(result, self._domain)), dtype) for _, result in results]
        values: dict[str, float] = {}
        shown = {"noisy": to_uint8(self._noisy[0]), "denoised": to_uint8(denoised[0])}
        if self._clean:
            values["psnr_db"] = _mean_psnr(denoised, self._clean)
            values["psnr_noisy_db"] = _mean_psnr(self._noisy, self._clean)
            shown["clean"] = self._clean[0]
        if "extractor" in networks:
            extracted = [_to_hwc(networks["extractor"](x - result)) for x, result in results]
            values |= self._measure_extracted(extracted)
            x, result = results[0]
            shown["residual"] = (255 * _to_hwc(x - result)).astype(np.float16)
            shown["extracted"] = (255 * extracted[0]).astype(np.float16)
        return values, shown

    def _measure_extracted(self, extracted: list[np.ndarray]) -> dict[str, float]:
        if not self._clean:
            return {"noise_map": float(255 * np.mean([noise.std() for noise in extracted]))}
        noise = [
            _in_domain(n, self._domain) - _in_domain(c, self._domain)
            for n, c in zip(self._noisy, self._clean, strict=True)
        ]
        energy = sum(float((n**2).sum()) for n in noise)
        shared = sum(float((e * n).sum()) for e, n in zip(extracted, noise, strict=True))
        return {"gain": shared / max(energy, 1e-9)}

    def _denoise(
        self, denoiser: nn.Module, noisy: np.ndarray, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        x = to_domain(to_tensor(noisy, device), self._domain)
        return x, denoiser(x).clamp(0, 1)


def denoise_with(
    denoiser: nn.Module, domain: str, device: torch.device
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the network as a function from a uint8 or uint16 (H, W, 3) image to the same."""

    @torch.no_grad()
    def denoise(noisy: np.ndarray) -> np.ndarray:
        x = to_domain(to_tensor(noisy, device), domain)
        return from_float(_to_hwc(from_domain(denoiser(x).float().clamp(0, 1), domain)), noisy.dtype)

    return denoise


def side_by_side(shown: dict[str, np.ndarray]) -> np.ndarray:
    """Return noisy | denoised | clean (if known), uint8 (H, n·W, 3)."""
    return np.concatenate([shown[name] for name in ("noisy", "denoised", "clean") if name in shown], axis=1)


def save_snapshot(run: Path, step: int, shown: dict[str, np.ndarray]) -> None:
    """Keep what `measure` showed at a step in `run`/snapshots, for the report."""
    with atomic_path(run / SNAPSHOTS / f"step-{step:07d}.npz") as temporary:
        np.savez_compressed(temporary, **shown)  # type: ignore[arg-type]


def _mean_psnr(images: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> float:
    return float(
        np.mean([psnr(image, reference) for image, reference in zip(images, references, strict=True)])
    )


def _in_domain(image: np.ndarray, domain: str) -> np.ndarray:
    return to_domain(torch.from_numpy(image).double() / 255, domain).numpy()


def to_tensor(image: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return uint8 or uint16 (H, W, 3) as float32 1×3×H×W in [0, 1]."""
    if image.dtype != np.uint8:
        return torch.from_numpy(to_float(image)).to(device).permute(2, 0, 1)[None]
    return torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 255


def _to_hwc(x: torch.Tensor) -> np.ndarray:
    return x[0].permute(1, 2, 0).float().cpu().numpy()
