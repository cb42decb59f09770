"""BM3D as it is called here."""

from __future__ import annotations

import numpy as np
import pytest
from n2b.runtime.images.metrics import psnr

from benchmarks.baselines.bm3d import bm3d


def _smooth(height: int = 48, width: int = 64) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    grey = 128 + 60 * np.sin(x / 17) * np.cos(y / 13)
    return np.rint(np.stack([grey, grey - 20, 255 - grey], axis=2)).astype(np.uint8)


def _noisy(clean: np.ndarray, sigma: float) -> np.ndarray:
    noise = sigma * np.random.default_rng(0).standard_normal(clean.shape)
    return np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("channels", [slice(None), 0], ids=["colour", "grey"])
def test_bm3d_removes_noise(channels: slice | int) -> None:
    pytest.importorskip("bm3d")
    clean = _smooth()[..., channels]
    noisy = _noisy(clean, 25)
    result = bm3d(noisy, 25)
    assert (result.shape, result.dtype) == (noisy.shape, np.uint8)
    assert psnr(result, clean) > psnr(noisy, clean) + 8


def test_bm3d_of_no_noise_changes_nothing() -> None:
    pytest.importorskip("bm3d")
    assert np.array_equal(bm3d(_smooth(), 0), _smooth())


def test_bm3d_of_a_flat_image() -> None:
    pytest.importorskip("bm3d")
    flat = np.full((16, 16, 3), 90, np.uint8)
    assert np.abs(bm3d(flat, 25).astype(int) - 90).max() <= 1
