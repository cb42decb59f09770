from __future__ import annotations

import numpy as np
from n2b.training.data.augment import with_variants

from ..conftest import smooth_image


def test_a_photograph_comes_as_it_is_softer_larger_and_smaller() -> None:
    photograph = np.random.default_rng(0).integers(0, 256, (100, 80, 3), dtype=np.uint8)
    same, soft, large, small = with_variants(photograph, 32)
    assert same is photograph
    assert soft.shape == photograph.shape
    assert soft.std() < 0.7 * photograph.std()
    assert large.shape == (150, 120, 3)
    assert small.shape == (60, 48, 3)


def test_nothing_is_reduced_below_the_patch() -> None:
    assert len(list(with_variants(smooth_image(0, 64, 64), 64))) == 3
