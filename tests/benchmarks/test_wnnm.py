"""WNNM against its closed form, a decomposition done otherwise, and noise on a photograph."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from n2b.runtime.images.image import read_image
from n2b.runtime.images.metrics import psnr
from n2b.runtime.samples import sample_photographs

from benchmarks.baselines.wnnm import (
    Parameters,
    parameters_for,
    shrink_groups,
    shrink_singular_values,
    wnnm,
)

SIGMA = 25


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """48×48 px of the sample photograph, with edges and texture."""
    return read_image(sample_photographs()[0]).pixels[98:146, 198:246]


def _noisy(clean: np.ndarray, sigma: float = SIGMA) -> np.ndarray:
    noise = sigma * np.random.default_rng(0).standard_normal(clean.shape)
    return np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)


def test_shrinkage_has_the_known_values() -> None:
    # s + C/s = d: of s = 3 and C = 2 comes d = 11/3; the least d with a solution is 2·√C
    values = torch.tensor([11 / 3, 2 * math.sqrt(2) - 1e-3, 1.0, 0.0])
    assert shrink_singular_values(values, 2.0).tolist() == pytest.approx([3.0, 0.0, 0.0, 0.0], abs=1e-5)


def test_shrinkage_of_no_strength_changes_nothing() -> None:
    values = torch.tensor([5.0, 0.25])
    assert torch.allclose(shrink_singular_values(values, 0.0), values)


def test_large_singular_values_are_shrunk_least() -> None:
    values = torch.tensor([100.0, 50.0, 20.0])
    lost = values - shrink_singular_values(values, 90.0)
    assert (lost.diff() > 0).all()


def test_groups_are_shrunk_as_their_singular_value_decomposition_says() -> None:
    torch.manual_seed(0)
    group, sigma = 30 * torch.randn(2, 12, 9) + 100, torch.tensor([4.0, 12.0])
    mean = group.mean(1, keepdim=True)
    u, d, vt = torch.linalg.svd((group - mean).double(), full_matrices=False)
    strength = 2 * math.sqrt(2) * math.sqrt(12) * sigma.double()[:, None] ** 2
    expected = u * shrink_singular_values(d, strength)[:, None, :] @ vt + mean
    result = shrink_groups(group, sigma)
    assert torch.allclose(result.double(), expected, atol=0.02)
    assert torch.linalg.matrix_rank(result[1] - mean[1], tol=0.1) < 9  # the strong noise takes some whole


@pytest.mark.parametrize(
    ("sigma", "patch_px", "group_size", "iterations"),
    [(10, 6, 70, 8), (25, 7, 90, 12), (50, 8, 120, 14), (75, 9, 140, 14)],
)
def test_parameters_are_those_of_the_paper(
    sigma: float, patch_px: int, group_size: int, iterations: int
) -> None:
    found = parameters_for(sigma)
    assert (found.patch_px, found.group_size, found.iterations) == (patch_px, group_size, iterations)


def test_grey_gains_what_bm3d_gains(photograph: np.ndarray) -> None:
    bm3d = pytest.importorskip("bm3d")
    clean = photograph[..., 1]
    noisy = _noisy(clean)
    other = np.clip(np.rint(bm3d.bm3d(noisy.astype(float), SIGMA)), 0, 255).astype(np.uint8)
    assert psnr(wnnm(noisy, SIGMA), clean) > psnr(other, clean) - 0.3


def test_colour_gains_too(photograph: np.ndarray) -> None:
    clean = photograph[:40, :40]
    noisy = _noisy(clean)
    quick = Parameters(patch_px=6, group_size=40, iterations=4, noise_scale=0.56)
    result = wnnm(noisy, SIGMA, quick)
    assert result.shape == clean.shape
    assert result.dtype == np.uint8
    assert psnr(result, clean) > psnr(noisy, clean) + 4


def test_what_repeats_is_found_and_averaged() -> None:
    quick = Parameters(patch_px=6, group_size=40, iterations=6, noise_scale=0.56)
    texture = np.tile(np.random.default_rng(1).integers(60, 196, (8, 8), dtype=np.uint8), (5, 5))
    assert psnr(wnnm(_noisy(texture), SIGMA, quick), texture) > psnr(_noisy(texture), texture) + 9


def test_without_noise_nothing_changes(photograph: np.ndarray) -> None:
    assert np.array_equal(wnnm(photograph, 0), photograph)
