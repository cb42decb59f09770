"""Known answers: a scene with flat and textured parts, and denoisers whose faults are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from n2b.runtime.errors import UserError
from n2b.training.evaluation.no_reference import NoReferenceQuality, assess_quality, median_quality


def scene(side: int = 320) -> np.ndarray:
    """Flat bands of several colours above, fine texture of several strengths below; uint8 (side, side, 3)."""
    rng = np.random.default_rng(0)
    half = side // 2
    bands = np.repeat(np.linspace(70, 180, 8), side // 8)
    flat = np.broadcast_to(bands[:, None] + np.array([0, 10, -15]), (half, side, 3))
    texture = cv2.GaussianBlur(rng.standard_normal((half, side)), (0, 0), 1.0)
    texture *= np.linspace(30, 60, side) / texture.std()
    return np.rint(
        np.concatenate([flat, 125 + np.repeat(texture[:, :, None], 3, axis=2)]).clip(10, 245)
    ).astype(np.uint8)


def add(image: np.ndarray, noise: np.ndarray) -> np.ndarray:
    return np.rint((image + noise).clip(0, 255)).astype(np.uint8)


def white(sigma: float, shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, shape)


CLEAN = scene()
NOISY = add(CLEAN, white(10, CLEAN.shape))


@pytest.mark.parametrize("sigma", [3, 10, 25])
def test_estimates_white_noise(sigma: float) -> None:
    quality = assess_quality(add(CLEAN, white(sigma, CLEAN.shape)), CLEAN)
    assert quality.sigma_before == pytest.approx(sigma, rel=0.1)


def test_estimates_correlated_noise_that_pixel_differences_would_miss() -> None:
    noise = cv2.GaussianBlur(white(1, CLEAN.shape), (0, 0), 1.2)
    noise *= 10 / noise.std()
    noisy = add(CLEAN, noise)
    assert np.abs(np.diff(noisy[:100, :, 0].astype(float))).std() < 5
    assert assess_quality(noisy, CLEAN).sigma_before == pytest.approx(10, rel=0.25)


def test_noise_that_grows_with_brightness_is_no_detail() -> None:
    noisy = (np.random.default_rng(2).poisson(CLEAN / 2.0) * 2).clip(0, 255).astype(np.uint8)
    assert assess_quality(noisy, CLEAN).detail_loss == pytest.approx(0, abs=0.1)


def test_the_ideal_denoiser_leaves_no_noise_and_loses_no_detail() -> None:
    quality = assess_quality(NOISY, CLEAN)
    assert quality.sigma_after < 0.5
    assert quality.detail_loss == pytest.approx(0, abs=0.03)
    assert quality.colour_shift == pytest.approx((0, 0, 0), abs=0.2)


def test_the_identity_changes_nothing() -> None:
    quality = assess_quality(NOISY, NOISY)
    assert quality.sigma_after == quality.sigma_before
    assert quality.remaining_noise == 1
    assert quality.detail_loss == pytest.approx(0, abs=1e-6)
    assert quality.colour_shift == (0, 0, 0)


def test_noise_half_removed_is_half_left_and_no_detail_lost() -> None:
    half = add(CLEAN, (NOISY.astype(float) - CLEAN) / 2)
    quality = assess_quality(NOISY, half)
    assert quality.remaining_noise == pytest.approx(0.5, abs=0.05)
    assert quality.detail_loss == pytest.approx(0, abs=0.03)


def test_a_blur_loses_detail_and_a_wider_one_loses_more() -> None:
    losses = [
        assess_quality(NOISY, cv2.GaussianBlur(NOISY, (0, 0), sigma)).detail_loss for sigma in (0.6, 1.0, 2.0)
    ]
    assert None not in losses
    assert 0.1 < losses[0] < losses[1] < losses[2]  # type: ignore[operator]


def test_fine_detail_lost_is_told_though_coarse_detail_is_overdone() -> None:
    soft, softer = (cv2.GaussianBlur(CLEAN.astype(np.float32), (0, 0), sigma) for sigma in (1.6, 5.0))
    loss = assess_quality(NOISY, add(soft, 0.4 * (soft - softer))).detail_loss
    assert loss is not None
    assert loss > 0.3


def test_detail_dimmed_by_a_fifth_is_a_loss_of_a_fifth() -> None:
    low = cv2.GaussianBlur(CLEAN.astype(np.float32), (0, 0), 6)
    dimmed = add(low, 0.8 * (CLEAN - low))
    assert assess_quality(NOISY, dimmed).detail_loss == pytest.approx(0.2, abs=0.04)


def test_one_grey_has_lost_everything() -> None:
    assert assess_quality(NOISY, np.full_like(NOISY, 128)).detail_loss == 1


def test_an_image_without_detail_leaves_the_loss_open() -> None:
    flat = np.full((128, 128, 3), 120, np.uint8)
    quality = assess_quality(add(flat, white(10, flat.shape)), flat)
    assert quality.detail_loss is None
    assert quality.sigma_before == pytest.approx(10, rel=0.1)


def test_colours_that_shift_are_told_by_channel() -> None:
    shifted = add(CLEAN, np.array([3, 0, -2]))
    assert assess_quality(CLEAN, shifted).colour_shift == pytest.approx((3, 0, -2), abs=0.01)


def test_white_sky_where_noise_is_cut_off_is_not_what_noise_is_measured_in() -> None:
    sky = CLEAN.copy()
    sky[:60] = 255
    noisy = add(sky, white(10, sky.shape))
    assert assess_quality(noisy, sky).sigma_before == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("value", [0, 255])
def test_an_image_of_one_colour_holds_no_noise(value: int) -> None:
    image = np.full((16, 40, 3), value, np.uint8)
    quality = assess_quality(image, image)
    assert (quality.sigma_before, quality.sigma_after, quality.remaining_noise) == (0, 0, 0)
    assert quality.detail_loss is None


def test_texture_all_over_is_told_from_noise_that_remains() -> None:
    texture = cv2.GaussianBlur(white(1, (256, 256, 1), seed=5), (0, 0), 1.5)[:, :, None]
    clean = add(np.full((256, 256, 3), 125), texture * 12 / texture.std())
    noisy = add(clean, white(10, clean.shape))
    assert assess_quality(noisy, clean).remaining_noise > 0.5
    assert assess_quality(noisy, clean).remaining_noise_min < 0.05
    assert assess_quality(noisy, noisy).remaining_noise_min == 1
    half = assess_quality(noisy, add(clean, (noisy.astype(float) - clean) / 2))
    assert 0.25 < half.remaining_noise_min < half.remaining_noise


def test_the_median_of_several_images() -> None:
    several = [
        NoReferenceQuality(10, 1, 0.1, 0.2, (1, 0, 0)),
        NoReferenceQuality(30, 9, 0.5, None, (5, 1, 0)),
        NoReferenceQuality(20, 2, 0.2, 0.4, (3, 2, -1)),
    ]
    typical = median_quality(several)
    assert (typical.sigma_before, typical.sigma_after, typical.residual_correlation) == (20, 2, 0.2)
    assert typical.detail_loss == pytest.approx(0.3)
    assert typical.colour_shift == (3, 1, 0)
    assert median_quality(several[1:2]) == several[1]


@pytest.mark.parametrize(
    ("noisy", "denoised"),
    [
        (NOISY, NOISY[:-1]),
        (NOISY[:15], NOISY[:15]),
        (NOISY.astype(np.float32), NOISY.astype(np.float32)),
        (NOISY[:, :, 0], NOISY[:, :, 0]),
    ],
)
def test_what_cannot_be_judged_is_refused(noisy: np.ndarray, denoised: np.ndarray) -> None:
    with pytest.raises(UserError):
        assess_quality(noisy, denoised)
