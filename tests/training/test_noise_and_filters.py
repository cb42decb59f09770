from __future__ import annotations

import numpy as np
import pytest
from n2b.runtime.errors import UserError
from n2b.training.filters import parse_filter
from n2b.training.noise import parse_noise


def grey(value: int = 128, size: int = 256) -> np.ndarray:
    return np.full((size, size, 3), value, np.uint8)


def test_gaussian_noise_has_the_standard_deviation_it_names() -> None:
    difference = parse_noise("gaussian:25")(grey(), np.random.default_rng(0)).astype(float) - 128
    assert abs(difference.mean()) < 0.2
    assert difference.std() == pytest.approx(25, rel=0.01)


def test_gaussian_noise_draws_sigma_evenly_from_its_range() -> None:
    noise = parse_noise("gaussian:10-30")
    sigmas = [noise(grey(size=64), np.random.default_rng(seed)).astype(float).std() for seed in range(200)]
    assert 9 < min(sigmas) < 12
    assert 28 < max(sigmas) < 31
    assert np.mean(sigmas) == pytest.approx(20, abs=1.5)


def test_the_same_seed_gives_the_same_noise() -> None:
    first, second = (parse_noise("gaussian:25")(grey(), np.random.default_rng(3)) for _ in range(2))
    assert (first == second).all()


@pytest.mark.parametrize(
    "spec", ["", "gaussian", "gaussian:", "gaussian:x", "gaussian:30-10", "gaussian:0-300", "rain:3"]
)
def test_a_noise_that_does_not_exist_is_refused(spec: str) -> None:
    with pytest.raises(UserError, match=r"gaussian|range"):
        parse_noise(spec)


@pytest.mark.parametrize(
    ("spec", "kept"),
    [
        ("bilateral", 0.12),
        ("gaussian:3", 0.12),
        ("mean:31", 0.05),
        ("median:31", 0.08),
        ("mean", 0.05),
    ],
)
def test_labels_are_nearly_free_of_noise(spec: str, kept: float) -> None:
    noisy = parse_noise("gaussian:25")(grey(), np.random.default_rng(0))
    label = parse_filter(spec)(noisy)
    assert label.shape == noisy.shape
    assert label.dtype == np.uint8
    assert label[32:-32, 32:-32].astype(float).std() < kept * 25


def test_mean_filter_averages_over_the_size_it_names() -> None:
    image = grey(0, 63)
    image[31, 31] = 225
    assert set(np.unique(parse_filter("mean:15")(image))) == {0, 1}
    assert parse_filter("mean:15")(image)[:, :, 0].sum() == 225


@pytest.mark.parametrize("spec", ["", "box", "mean:0", "mean:-3", "mean:a", "mean:3,4", "gaussian:nan"])
def test_a_filter_that_does_not_exist_is_refused(spec: str) -> None:
    with pytest.raises(UserError, match="filter"):
        parse_filter(spec)
