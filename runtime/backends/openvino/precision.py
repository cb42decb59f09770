"""Measure what a model loses by BF16, whose 8 bits of precision are few for an image's levels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...images.metrics import psnr
from ..autotune_cache import entry_path, read_entry, write_entry
from ..memory_probe import trial_batch

if TYPE_CHECKING:
    from ..protocol import Backend

_SIDE_PX = 128
_SIGMA = 10  # of the noise in the test image, in levels of 255; less noise leaves more to lose


def has_bf16(core: Any) -> bool:
    """Return whether the CPU computes in BF16 natively; `core` is OpenVINO's."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def bf16_loss_db(backend: Backend, run_in: Callable[[str, np.ndarray], np.ndarray]) -> float:
    """Return PSNR in FP32 less PSNR in BF16, of one noisy image to its original, in dB.

    It is measured once per model and CPU; NaN if it cannot be compared.

    Args:
        run_in: takes "f32" or "bf16" and a batch.
    """
    path = entry_path("bf16", backend.model, ("openvino",))
    loss_db = (read_entry(path) or {}).get("loss_db")
    if not isinstance(loss_db, float):
        clean, noisy = trial_images(trial_batch(backend, _SIDE_PX))
        in_fp32, in_bf16 = (psnr(np.concatenate(run_in(hint, noisy)), clean) for hint in ("f32", "bf16"))
        loss_db = float(np.subtract(in_fp32, in_bf16))
        write_entry(path, {"loss_db": loss_db})
    return loss_db


def trial_images(like: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an image, ramps with stripes over half of them, and a batch of it with noise.

    Args:
        like: (N, H, W, 3) of the dtype and shape of the batch. The image is (N·H, W, 3).
    """
    _, height, width, _ = like.shape
    y, x = np.mgrid[:height, :width]
    ramps = 40 + 160 * np.stack([x / width, y / height, (x / width + y / height) / 2], axis=-1)
    stripes = 50.0 * ((8 * x + 3 * y) // 64 % 2) * (y > height / 2)
    clean = ramps + stripes[..., None]
    noise = np.random.default_rng(0).normal(0, _SIGMA, ramps.shape)
    one, noisy = (
        levels / 255 if like.dtype == np.float32 else levels.round()
        for levels in (np.clip(clean, 0, 255), np.clip(clean + noise, 0, 255))
    )
    batch = np.ascontiguousarray(np.broadcast_to(noisy, like.shape).astype(like.dtype))
    return np.concatenate([one] * len(like)).astype(like.dtype), batch
