"""Find banding, fixed pattern and hot pixels that were put into images, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from n2b.training.noise_model.structure import NoiseStructure, find_structure

SIGMA = 5.0
SIGMA_OF_MEAN = SIGMA / 3**0.5  # of the mean of the channels


def scene(seed: int, size_px: int = 512) -> np.ndarray:
    """Return areas of slow shades and of texture between straight lines, float (H, W, 3), 30..220."""
    rng = np.random.default_rng([3, seed])
    y, x = np.mgrid[:size_px, :size_px] / size_px
    image = np.full((size_px, size_px), 120.0)
    for _ in range(5):
        angle, offset = rng.uniform(0, np.pi), rng.uniform(-0.3, 0.3)
        side = np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5) > offset
        image += side * (rng.uniform(-50, 50) + rng.uniform(-20, 20) * x)
    image += (x + y > rng.uniform(0.8, 1.4)) * 15 * np.sin(rng.uniform(0.2, 1.5) * size_px * (x + y * y))
    return np.clip(image, 30, 220)[..., None] + rng.uniform(-10, 10, 3)


def shoot(
    number: int,
    *,
    row: float = 0.0,
    column: float = 0.0,
    fixed: np.ndarray | None = None,
    sigma: float = SIGMA,
    size_px: int = 512,
) -> np.ndarray:
    """Return a noisy image, uint8: white noise, banding of σ `row` and `column`, and a fixed pattern."""
    rng = np.random.default_rng([4, number])
    image = scene(number, size_px) + rng.normal(0, sigma, (size_px, size_px, 3))
    image += rng.normal(0, 1, (size_px, 1, 1)) * row + rng.normal(0, 1, (1, size_px, 1)) * column
    if fixed is not None:
        image += fixed
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def find(count: int, **noise: object) -> NoiseStructure:
    found = find_structure(shoot(number, **noise) for number in range(count))  # type: ignore[arg-type]
    assert found is not None and found.images == count
    return found


@pytest.mark.parametrize("count", [1, 2, 5])
def test_white_noise_has_no_structure(count):
    found = find(count)
    assert found.describe() == []
    assert found.sigma == pytest.approx(SIGMA_OF_MEAN, rel=0.1)
    assert (found.fixed_share is None) == (found.hot_per_mp is None) == (count == 1)


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("part", [0.5, 1.0, 2.0])
def test_the_banding_of_rows_and_of_columns_is_measured(count, part):
    level = part * SIGMA_OF_MEAN
    of_rows, of_columns = find(count, row=level), find(count, column=level)
    assert of_rows.row_banding == pytest.approx(level, rel=0.2)
    assert of_columns.column_banding == pytest.approx(level, rel=0.2)
    (line,) = of_rows.describe()
    assert line.startswith(f"row banding of {of_rows.row_banding:.1f} grey levels") and "--dark" in line
    (line,) = of_columns.describe()
    assert line.startswith("column banding of ")


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_the_share_of_a_fixed_pattern_is_measured(share):
    pattern = np.random.default_rng(9).normal(0, SIGMA * share**0.5, (512, 512, 3))
    found = find(4, fixed=pattern, sigma=SIGMA * (1 - share) ** 0.5)
    assert found.fixed_share == pytest.approx(share, abs=0.05)
    assert found.describe()[0].startswith(f"fixed pattern: {found.fixed_share:.0%} of the noise")


def test_hot_pixels_are_counted():
    rng = np.random.default_rng(9)
    pattern = np.zeros((512, 512, 3))
    rows, columns = rng.integers(512, size=(2, 60))
    pattern[rows, columns] = rng.uniform(40, 120, (60, 1))
    found = find(4, fixed=pattern)
    assert found.hot_per_mp == pytest.approx(60 / 0.262, rel=0.2)
    assert [line.partition(",")[0] for line in found.describe()] == ["hot pixels"]


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_levels_are_those_of_8_bits_whatever_the_depth(dtype):
    white = 65535 if dtype == "uint16" else 1
    images = [(shoot(number, row=4.0) / 255 * white).astype(dtype) for number in range(3)]
    found = find_structure(images)
    assert found is not None and found.row_banding == pytest.approx(4, rel=0.2)


def test_images_of_one_scene_say_nothing_of_a_fixed_pattern():
    rng = np.random.default_rng(5)
    still = scene(0)
    images = [np.rint(still + rng.normal(0, SIGMA, still.shape)).astype(np.uint8) for _ in range(4)]
    found = find_structure(images)
    assert found is not None and (found.fixed_share, found.hot_per_mp) == (None, None)


def test_lines_of_a_scene_are_no_banding():
    lines = np.zeros((512, 1, 1))
    lines[np.random.default_rng(2).integers(512, size=60)] = 60
    image = np.clip(shoot(0).astype(int) + lines, 0, 255).astype(np.uint8)
    assert find_structure([image]).describe() == []  # type: ignore[union-attr]
    others = [shoot(number) for number in range(1, 4)]
    assert find_structure([image, *others]).describe() == []  # type: ignore[union-attr]


def test_grey_images_of_several_sizes_are_measured_together():
    images = [shoot(number, row=3.0, size_px=256 + 64 * number)[..., :1] for number in range(4)]
    found = find_structure(images)
    assert found is not None and found.fixed_share is None
    assert found.row_banding == pytest.approx(3, rel=0.2)


def test_without_flat_areas_nothing_is_known():
    assert find_structure([]) is None
    assert find_structure([np.zeros((512, 512, 3), np.uint8)]) is None
    assert find_structure([shoot(0, size_px=96)]) is None
