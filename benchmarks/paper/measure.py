"""PSNR and SSIM of one system on noisy crops, and the noise that a filter leaves in its labels."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from n2b.runtime.images.metrics import psnr, ssim
from n2b.training.labels.bm3d import estimate_sigma
from n2b.training.labels.filters import parse_filter
from n2b.training.noise import default_filter, noise_domain, parse_noise

from ..baselines.bm3d import bm3d
from ..baselines.wnnm import wnnm
from .experiments import Classical, Condition, LabelNoise, Trained
from .images import Pair

Denoise = Callable[[np.ndarray], np.ndarray]

_SECOND_NOISE_STREAM = 8  # the first is that of images.py
_MOST_DB = 99.0  # in place of ∞ for a noise so weak that rounding hides it


def measure(denoise: Denoise, pairs: Sequence[Pair]) -> tuple[dict[str, Any], np.ndarray]:
    """Denoise noisy crops.

    Returns:
        Means and single figures of PSNR and SSIM (of uint8 images), seconds; and the first result.
    """
    started = time.perf_counter()
    results = [denoise(pair.noisy) for pair in pairs]
    seconds = time.perf_counter() - started
    psnr_db = [min(psnr(x, pair.clean), _MOST_DB) for x, pair in zip(results, pairs, strict=True)]
    similarity = [ssim(x, pair.clean) for x, pair in zip(results, pairs, strict=True)]
    figures = {
        "psnr_db": float(np.mean(psnr_db)),
        "ssim": float(np.mean(similarity)),
        "images": len(pairs),
        "psnr_db_each": [round(value, 4) for value in psnr_db],
        "ssim_each": [round(value, 5) for value in similarity],
        "seconds": round(seconds, 2),
    }
    return figures, results[0]


def measure_label(system: LabelNoise, condition: Condition, pairs: Sequence[Pair]) -> dict[str, Any]:
    """Measure the noise left in the label: RMS(blur(x₁) − blur(x₂)) / RMS(x₁ − x₂) over all crops.

    x₁ and x₂ are copies of one clean crop with noise of their own, so that what the filter does to the
    image itself does not count.
    """
    assert condition.noise is not None
    spec = default_filter(condition.noise) if system.filter == "auto" else system.filter
    blur, noise = parse_filter(spec, noise_domain(condition.noise)), parse_noise(condition.noise)
    left = whole = 0.0
    for index, pair in enumerate(pairs):
        other = noise(pair.clean, np.random.default_rng([_SECOND_NOISE_STREAM, index]))
        left += _squares(blur(pair.noisy), blur(other))
        whole += _squares(pair.noisy, other)
    return {"share": (left / whole) ** 0.5, "images": len(pairs)}


def trained_denoiser(run: Path, device: str) -> Denoise:
    """The network of a finished run."""
    from n2b.training.checkpoint import load_denoiser
    from n2b.training.device import resolve_device
    from n2b.training.evaluation.validation import denoise_with

    network, info = load_denoiser(run)
    where = resolve_device(device)
    domain = "log" if info.value_transform == "log" else "linear"
    return denoise_with(network.to(where), domain, where)


def classical_denoiser(system: Classical, condition: Condition) -> Denoise:
    """A denoiser without training; σ is known where the noise is Gaussian of one level, else estimated."""
    if system.name == "none":
        return lambda noisy: noisy
    denoise = {"bm3d": bm3d, "wnnm": wnnm}[system.name]
    sigma = known_sigma(condition)
    if sigma is not None:
        return lambda noisy: denoise(noisy, sigma)
    return lambda noisy: denoise(noisy, estimate_sigma(noisy))


def known_sigma(condition: Condition) -> float | None:
    """σ of Gaussian noise of one level, on the 0..255 scale; None for any other."""
    name, _, level = (condition.noise or "").partition(":")
    try:
        return float(level) if name == "gaussian" else None
    except ValueError:  # a range, or a chain
        return None


def pairs_for(system: Trained | Classical, pairs: Sequence[Pair], wnnm_images: int) -> Sequence[Pair]:
    """Those that a system is measured on: WNNM, which is slow, on the first few."""
    return pairs[:wnnm_images] if system == Classical("wnnm") else pairs


def _squares(a: np.ndarray, b: np.ndarray) -> float:
    difference = np.subtract(a, b, dtype=np.float64)
    return float((difference**2).sum())
