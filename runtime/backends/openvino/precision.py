"""Decide whether a model tolerates BF16, whose 8 bits of precision are few for an image's levels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...images.metrics import psnr
from ..autotune_cache import entry_path, read_entry, write_entry
from ..memory_probe import trial_batch

if TYPE_CHECKING:
    from ..protocol import Backend

LEAST_PSNR_DB = 50.0  # of BF16 to FP32, for BF16 to be used
_SIDE_PX = 128
_SIGMA = 25  # of the noise in the test image, in levels of 255


def has_bf16(core: Any) -> bool:
    """Return whether the CPU computes in BF16 natively; `core` is OpenVINO's."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def tolerates_bf16(backend: Backend, run_in: Callable[[str, np.ndarray], np.ndarray]) -> bool:
    """Return whether the PSNR of BF16 to FP32 exceeds LEAST_PSNR_DB, measured once per model and CPU.

    `run_in` takes "f32" or "bf16".
    """
    path = entry_path("bf16", backend.model, ("openvino",))
    psnr_db = (read_entry(path) or {}).get("psnr_db")
    if not isinstance(psnr_db, float):
        batch = noisy_image(trial_batch(backend, _SIDE_PX))
        psnr_db = psnr(*(np.concatenate(run_in(hint, batch)) for hint in ("bf16", "f32")))
        write_entry(path, {"psnr_db": psnr_db})
    return psnr_db > LEAST_PSNR_DB


def noisy_image(like: np.ndarray) -> np.ndarray:
    """Return a batch of one fixed image: ramps, stripes over half of them, and noise."""
    _, height, width, _ = like.shape
    y, x = np.mgrid[:height, :width]
    ramps = 40 + 160 * np.stack([x / width, y / height, (x / width + y / height) / 2], axis=-1)
    stripes = 50.0 * ((8 * x + 3 * y) // 64 % 2) * (y > height / 2)
    noise = np.random.default_rng(0).normal(0, _SIGMA, ramps.shape)
    levels = np.clip(ramps + stripes[..., None] + noise, 0, 255)
    image = levels / 255 if like.dtype == np.float32 else levels.round()
    return np.ascontiguousarray(np.broadcast_to(image, like.shape).astype(like.dtype))
