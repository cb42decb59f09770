from __future__ import annotations

import numpy as np
import pytest
from n2b.calibration.samples import CalibrationImage, choose_tiles, split_tiles
from n2b.runtime.errors import UserError

S = 32


def image(name: str, level: float, texture: float, side: int = 4 * S) -> CalibrationImage:
    """Blocks of 4 px about a level, which are texture; the clean copy is one level brighter."""
    rng = np.random.default_rng(int(level + 1000 * texture))
    blocks = rng.standard_normal((side // 4, side // 4, 1)).repeat(4, 0).repeat(4, 1).repeat(3, 2)
    pixels = np.clip(level + texture * blocks, 0, 254).astype(np.uint8)
    return CalibrationImage(name, pixels, pixels + 1)


IMAGES = [
    image("dark", 20, 2),
    image("grey", 100, 2),
    image("rough", 100, 50),
    image("bright", 200, 10),
]


def test_tiles_are_of_every_brightness_and_texture() -> None:
    many_dark = [image(f"dark {i}", 20, 2 + i / 100) for i in range(20)]
    tiles = choose_tiles([*many_dark, *IMAGES], count=16, tile_px=S)
    kinds = {name.split()[0] for name in tiles.names}
    assert kinds == {"dark", "grey", "rough", "bright"}
    assert sum(name.startswith("dark") for name in tiles.names) <= 16 // 3


def test_names_say_where_a_tile_is_from_and_its_clean_one_goes_with_it() -> None:
    tiles = choose_tiles(IMAGES, count=10, tile_px=S)
    by_name = {p.name: p for p in IMAGES}
    assert tiles.clean is not None
    for name, noisy, clean in zip(tiles.names, tiles.noisy, tiles.clean, strict=True):
        source, corner = name.rsplit(" ", 1)
        x, y = map(int, corner.split(","))
        assert np.array_equal(noisy, by_name[source].noisy[y : y + S, x : x + S])
        assert np.array_equal(clean, noisy + 1)


def test_the_choice_is_repeatable_and_goes_by_the_seed() -> None:
    first, again, other = (choose_tiles(IMAGES, count=8, tile_px=S, seed=seed) for seed in (0, 0, 1))
    assert first.names == again.names and first.sha256 == again.sha256
    assert first.sha256 != other.sha256


def test_there_are_as_many_as_the_images_have() -> None:
    assert len(choose_tiles(IMAGES[:1], count=1000, tile_px=S)) == 16


def test_without_clean_images_there_are_no_clean_tiles() -> None:
    assert choose_tiles([IMAGES[0]._replace(clean=None)], count=4, tile_px=S).clean is None


def test_tiles_to_measure_on_are_others() -> None:
    tiles = choose_tiles(IMAGES, count=20, tile_px=S)
    rest, apart = split_tiles(tiles, 5)
    assert len(apart) == 5 and len(rest) == 15
    assert not set(rest.names) & set(apart.names)
    with pytest.raises(UserError, match=r"20 tiles, too few .* --calib"):
        split_tiles(tiles, 20)


@pytest.mark.parametrize(
    ("images", "count", "words"),
    [
        ([], 4, "no images to calibrate on"),
        ([CalibrationImage("black", np.zeros((S, S, 3), np.uint8))], 4, "covered lens"),
        (IMAGES, 0, "cannot calibrate on 0 tiles; name 1 or more"),
    ],
)
def test_unusable_images_and_counts_are_refused(
    images: list[CalibrationImage], count: int, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        choose_tiles(images, count=count, tile_px=S)
