"""The sets, the images to train on, and the scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.errors import UserError

from benchmarks.own_camera.networks import tiled
from benchmarks.own_camera.sets import SETS, image_counts, load_set, training_images

from .networks import SIDE_PX

SPECS = {spec.name: spec for spec in SETS}


def test_both_halves_hold_sets_of_every_kind() -> None:
    halves = {spec.name: spec.half for spec in SETS}
    assert len(halves) == 12
    assert sorted(name for name, half in halves.items() if half == "report") == [
        "Canon600D", "Canon80D", "Sony", "full_bag", "full_chair", "gigadb",
    ]  # fmt: skip


def test_a_number_of_images_above_all_is_all() -> None:
    assert image_counts(["1", "5", "15", "all"], 11) == [1, 5, 11]
    assert image_counts(["1", "5", "15", "all"], 1) == [1]
    assert image_counts(["all"], 21) == [21]


def test_fewer_training_images_are_among_more(data: Path) -> None:
    real = load_set(data, SPECS["Sony"])
    one, two = (set(training_images(real, count, seed=3)) for count in (1, 2))
    assert len(two) == 2 and one < two


def test_a_pair_of_different_scenes_is_not_scored(data: Path) -> None:
    real = load_set(data, SPECS["Sony"])
    assert len(real) == 3
    assert [pair.name for pair in real.pairs()] == ["Sony_0", "Sony_1"]


def test_gain_and_offset_are_fitted_where_the_exposures_differ(data: Path) -> None:
    real = load_set(data, SPECS["w2s"])
    pair = next(real.pairs())
    assert pair.noisy.shape == pair.clean.shape == (SIDE_PX, SIDE_PX, 1)
    assert real.score((pair.clean - 40) * 2, pair.clean) > 50
    assert real.score(np.full_like(pair.noisy, 7), pair.clean) > 0  # no gain fits it
    assert 20 < real.score(pair.noisy, pair.clean) < 40


def test_a_missing_reference_is_an_error(data: Path) -> None:
    (data / "polyu" / "clean" / "Sony_1.png").unlink()
    with pytest.raises(UserError, match=r"lacks Sony_1\.png"):
        load_set.__wrapped__(data, SPECS["Sony"])


def test_tiles_make_the_whole_image() -> None:
    image = np.random.default_rng(0).integers(0, 255, (800, 1000, 3), dtype=np.uint8)
    shapes = []

    def keep(tile: np.ndarray) -> np.ndarray:
        shapes.append(tile.shape)
        return tile

    assert np.array_equal(tiled(keep, halo_px=20, multiple_px=32)(image), image)
    assert len(shapes) == 4 and max(shapes[0]) <= 768
