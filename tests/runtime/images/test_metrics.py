"""PSNR and SSIM against scikit-image's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from n2b.runtime.errors import UserError
from n2b.runtime.images.metrics import noise_sigma, psnr, ssim
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

DTYPES = (np.uint8, np.uint16, np.float32)


def _pair(height, width, channels, dtype, noise, seed):
    """A smooth image and the same with noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = [0.5 + 0.4 * np.sin(rows / (3 + c) + columns / (5 - c)) for c in range(channels)]
    clean = np.stack(waves, axis=2)
    noisy = np.clip(clean + rng.normal(0, noise, clean.shape), 0, 1)
    if dtype == np.float32:
        return clean.astype(dtype), noisy.astype(dtype)
    largest = np.iinfo(dtype).max
    return (np.rint(image * largest).astype(dtype) for image in (clean, noisy))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(11, 60), st.integers(11, 60), st.sampled_from([1, 3]), st.sampled_from(DTYPES),
    st.floats(0.001, 0.5), st.integers(0, 99),
)  # fmt: skip
def test_both_agree_with_scikit_image(height, width, channels, dtype, noise, seed):
    clean, noisy = _pair(height, width, channels, dtype, noise, seed)
    data_range = 1.0 if dtype == np.float32 else float(np.iinfo(dtype).max)
    expected = peak_signal_noise_ratio(
        clean.astype(np.float64), noisy.astype(np.float64), data_range=data_range
    )
    assert psnr(clean, noisy) == pytest.approx(expected, rel=1e-12)
    expected = structural_similarity(
        clean.astype(np.float64), noisy.astype(np.float64), data_range=data_range, channel_axis=2,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip
    assert ssim(clean, noisy) == pytest.approx(expected, abs=1e-9)


def test_images_larger_than_one_band_are_measured_whole():
    clean, noisy = _pair(1200, 1000, 1, np.uint8, 0.1, 0)  # a band has about a million samples
    error = np.mean((clean.astype(np.float64) - noisy) ** 2)
    assert psnr(clean, noisy) == pytest.approx(10 * math.log10(255**2 / error), rel=1e-12)
    expected = structural_similarity(
        clean[..., 0].astype(np.float64), noisy[..., 0].astype(np.float64), data_range=255.0,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip
    assert ssim(clean, noisy) == pytest.approx(expected, abs=1e-9)


def test_a_difference_of_one_level_everywhere_is_the_textbook_figure():
    image = np.full((20, 20, 3), 100, np.uint8)
    assert psnr(image, image + np.uint8(1)) == pytest.approx(20 * math.log10(255))
    assert psnr(image, image + np.uint8(1), data_range=1) == pytest.approx(0)


def test_equal_images_are_infinitely_close():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    assert psnr(image, image) == math.inf
    assert ssim(image, image) == pytest.approx(1, abs=1e-12)


def test_grey_without_a_channel_axis_is_the_same_as_with_one():
    clean, noisy = _pair(30, 20, 1, np.uint8, 0.1, 0)
    assert ssim(clean[:, :, 0], noisy[:, :, 0]) == ssim(clean, noisy)
    assert psnr(clean[:, :, 0], noisy[:, :, 0]) == psnr(clean, noisy)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_what_cannot_be_compared_is_refused(measure):
    image = np.zeros((20, 20, 3), np.uint8)
    with pytest.raises(UserError, match="different shapes"):
        measure(image, image[:19])
    with pytest.raises(UserError, match="different dtypes"):
        measure(image, image.astype(np.uint16))
    with pytest.raises(UserError, match="data range of int32"):
        measure(image.astype(np.int32), image.astype(np.int32))
    with pytest.raises(UserError):
        measure(image[:0], image[:0])


def test_ssim_refuses_images_smaller_than_its_window():
    image = np.zeros((10, 50, 3), np.uint8)
    with pytest.raises(UserError, match="11×11"):
        ssim(image, image)


class TestNoise:
    @pytest.mark.parametrize("sigma", [2.0, 10.0, 25.0])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_the_noise_of_a_smooth_picture_is_found_within_ten_per_cent(self, sigma, channels):
        rows, columns = np.mgrid[:240, :320]
        smooth = (
            128 + 40 * np.sin(rows / 60)[..., None] + np.cos(columns / 50)[..., None] * np.full(channels, 20)
        )
        noisy = smooth + np.random.default_rng(1).normal(0, sigma, smooth.shape)
        image = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        assert noise_sigma(image) == pytest.approx(sigma, rel=0.1)
        assert noise_sigma(image[:, :, 0]) == pytest.approx(sigma, rel=0.1)

    def test_it_is_in_the_units_of_the_image(self):
        noise = np.random.default_rng(2).normal(0, 0.1, (100, 120, 3))
        assert noise_sigma((0.5 + noise).astype(np.float32)) == pytest.approx(0.1, rel=0.1)

    @pytest.mark.parametrize(
        "image", [np.full((9, 9, 3), 77, np.uint8), np.mgrid[:9, :8][0].astype(np.uint16)]
    )
    def test_flat_and_evenly_rising_pictures_have_none(self, image):
        assert noise_sigma(image) == 0

    @pytest.mark.parametrize("shape", [(2, 9), (9, 2, 3), (9, 9, 0), (9,)])
    def test_pictures_too_small_are_refused(self, shape):
        with pytest.raises(UserError, match="at least 3×3 px"):
            noise_sigma(np.zeros(shape, np.uint8))
