from __future__ import annotations

import numpy as np
import pytest
from n2b.runtime.errors import UserError
from n2b.training.filters import parse_filter
from n2b.training.noise import parse_noise


def grey(value: int = 128, size: int = 256) -> np.ndarray:
    return np.full((size, size, 3), value, np.uint8)


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
