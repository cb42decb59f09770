from __future__ import annotations

import math

import numpy as np
import pytest
from n2b.calibration.histogram import BINS, Histogram, entropy_threshold


def test_it_counts_every_value_however_far_its_reach_had_to_grow() -> None:
    histogram, rng = Histogram(), np.random.default_rng(0)
    parts = [scale * rng.standard_normal(1000).astype(np.float32) for scale in (1e-4, 1, 300)]
    for part in parts:
        histogram.add(part)
    values = np.concatenate(parts)
    assert histogram.bins.sum() == len(values)
    assert (histogram.low, histogram.high) == (values.min(), values.max())
    edges = np.linspace(-histogram.reach, histogram.reach, BINS + 1)
    assert np.array_equal(histogram.bins, np.histogram(values, edges)[0])


def test_quantiles_are_those_of_the_values() -> None:
    values = np.random.default_rng(1).standard_normal(100_000).astype(np.float32)
    histogram = Histogram()
    histogram.add(values)
    shares = (0.001, 0.5, 0.999)
    width = 2 * histogram.reach / BINS
    assert histogram.quantiles(*shares) == pytest.approx(np.quantile(values, shares), abs=2 * width)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_told(bad: float) -> None:
    assert not math.isfinite(Histogram().add(np.array([1, bad, 2], np.float32)))


def test_the_entropy_cuts_off_what_is_rare_and_far() -> None:
    values = np.abs(np.random.default_rng(2).laplace(size=200_000))
    counts, _ = np.histogram(np.append(values, 100), bins=2048, range=(0, 128))
    threshold = entropy_threshold(counts.astype(float), 128)
    assert np.quantile(values, 0.99) < threshold < 60


def test_the_entropy_of_an_even_distribution_keeps_all() -> None:
    assert entropy_threshold(np.full(2048, 10.0), 1.0) == 1.0
