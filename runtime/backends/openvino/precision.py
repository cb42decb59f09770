"""Whether a model may be computed in BF16, whose eight bits of fraction are few for a picture's levels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ...images.metrics import psnr
from ..autotune_cache import entry_path, read_entry, write_entry
from ..memory_probe import trial_batch

if TYPE_CHECKING:
    from ..protocol import Backend

LEAST_PSNR_DB = 50.0  # of BF16 to FP32; BF16 has to stay above it
_SIDE_PX = 128
_SIGMA = 25  # of the picture's noise, in levels of 255


def tolerates_bf16(backend: Backend, run_in: Callable[[str, np.ndarray], np.ndarray]) -> bool:
    """Whether BF16 changes a model's result by less than LEAST_PSNR_DB, tried once a model and CPU.

    Args:
        backend: the model.
        run_in: runs a batch in "f32" or "bf16".
    """
    path = entry_path("bf16", backend.model, ("openvino",))
    known = (read_entry(path) or {}).get("psnr_db")
    if not isinstance(known, float):
        batch = _noisy_picture(trial_batch(backend, _SIDE_PX))
        known = psnr(*(np.concatenate(run_in(hint, batch)) for hint in ("bf16", "f32")))
        write_entry(path, {"psnr_db": known})
    return known > LEAST_PSNR_DB


def _noisy_picture(like: np.ndarray) -> np.ndarray:
    """A batch of the same picture, always the same: ramps, with stripes over a half of them, and noise."""
    _, height, width, _ = like.shape
    y, x = np.mgrid[:height, :width]
    ramps = 40 + 160 * np.stack([x / width, y / height, (x / width + y / height) / 2], axis=-1)
    stripes = 50.0 * ((8 * x + 3 * y) // 64 % 2) * (y > height / 2)
    noise = np.random.default_rng(0).normal(0, _SIGMA, ramps.shape)
    levels = np.clip(ramps + stripes[..., None] + noise, 0, 255)
    picture = levels / 255 if like.dtype == np.float32 else levels.round()
    return np.ascontiguousarray(np.broadcast_to(picture, like.shape).astype(like.dtype))
