from __future__ import annotations

import weakref
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from n2b.runtime.errors import UserError
from n2b.training.data.image_pool import ImagePool, memory_budget

SIZES = ((40, 33), (32, 50), (32, 32), (61, 37))
PATCH_PX = 32


def images(channels: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, channels), dtype=np.uint8) for size in SIZES]


def cropped_by_hand(image: np.ndarray, top: int, left: int, symmetry: int) -> np.ndarray:
    crop = image[top : top + PATCH_PX, left : left + PATCH_PX]
    return np.rot90(crop[:, ::-1] if symmetry >= 4 else crop, symmetry % 4)


def as_images(crops: torch.Tensor) -> np.ndarray:
    return crops.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("channels", [1, 3, 6])
@pytest.mark.parametrize("budget_bytes", [None, 4000])
def test_crops_are_those_that_slicing_and_turning_gives(
    channels: int, budget_bytes: int | None, tmp_path: Path
) -> None:
    held = images(channels)
    pool = ImagePool(held, PATCH_PX, spill=tmp_path, budget_bytes=budget_bytes)
    corners = [(0, 0), (1, 0)]  # of which the second fits into some images only
    places = np.array(
        [
            (index, top, left, symmetry)
            for index, (top, left), symmetry in product(range(4), corners, range(8))
            if top + PATCH_PX <= SIZES[index][0]
        ]
        + [(0, 8, 1, 5), (1, 0, 18, 3), (3, 29, 5, 6)]
    )
    crops = pool.crops(places)
    assert pool.is_on_disk == (budget_bytes is not None)
    assert (crops.dtype, tuple(crops.shape)) == (torch.uint8, (len(places), channels, PATCH_PX, PATCH_PX))
    assert crops.is_contiguous(memory_format=torch.channels_last)
    for (index, *place), crop in zip(places, as_images(crops), strict=True):
        assert (crop == cropped_by_hand(held[index], *place)).all()
    assert torch.equal(pool.crops(torch.from_numpy(places)[::3]), crops[::3])


def test_the_generator_alone_decides_the_places() -> None:
    pool = ImagePool(images(), PATCH_PX)
    first, again, other = (pool.draw(20, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.dtype == np.int64
    assert first.shape == (20, 4)
    assert (first == again).all()
    assert (first != other).any()


def test_every_position_of_every_image_and_every_symmetry_is_as_likely() -> None:
    pool = ImagePool(images(), PATCH_PX)
    counts = {(i, t, s): 0 for i, size in enumerate(SIZES) for t in range(size[0] - 31) for s in range(8)}
    draws = 200_000
    for index, top, left, symmetry in pool.draw(draws, np.random.default_rng(0)):
        assert 0 <= left <= SIZES[index][1] - PATCH_PX
        counts[index, top, symmetry] += 1
    columns = [width - PATCH_PX + 1 for _, width in SIZES]
    positions = sum(columns[i] * (SIZES[i][0] - PATCH_PX + 1) for i in range(4))
    for (index, _, _), count in counts.items():
        expected = draws * columns[index] / positions / 8
        assert abs(count - expected) < 5 * expected**0.5


def test_every_drawn_place_can_be_cropped() -> None:
    held = images()
    pool = ImagePool(held, PATCH_PX)
    places = pool.draw(100, np.random.default_rng(0))
    for (index, *place), crop in zip(places, as_images(pool.crops(places)), strict=True):
        assert (crop == cropped_by_hand(held[index], *place)).all()


def test_a_spilled_pool_is_as_one_in_memory_and_leaves_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    spilled = ImagePool(images(), PATCH_PX, spill=folder, budget_bytes=0)
    held = ImagePool(images(), PATCH_PX)
    assert spilled.is_on_disk
    assert not held.is_on_disk
    assert spilled.memory_bytes == 0
    assert held.memory_bytes == sum(image.nbytes for image in images())
    assert len(spilled) == len(held) == 4
    assert spilled.channels == held.channels == 3
    places = held.draw(30, np.random.default_rng(3))
    assert (places == spilled.draw(30, np.random.default_rng(3))).all()
    assert torch.equal(spilled.crops(places), held.crops(places))
    assert not any(folder.iterdir())
    for index, image in enumerate(images()):
        assert (spilled.image(index) == image).all()
        assert (held.image(index) == image).all()


def test_a_spilled_pool_keeps_no_image_in_memory(tmp_path: Path) -> None:
    given: list[weakref.ref[np.ndarray]] = []
    most_alive = 0

    def watched() -> Iterator[np.ndarray]:
        nonlocal most_alive
        for value in range(20):
            image = np.full((40, 40, 3), value, np.uint8)
            given.append(weakref.ref(image))
            most_alive = max(most_alive, sum(image() is not None for image in given))
            yield image

    pool = ImagePool(watched(), PATCH_PX, spill=tmp_path, budget_bytes=3 * 40 * 40 * 3)
    assert len(pool) == 20
    assert 3 < most_alive < 7


def test_a_folder_that_cannot_take_the_images_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="name fewer images"):
        ImagePool(images(), PATCH_PX, spill=tmp_path / "file", budget_bytes=0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_an_error_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: open("/dev/full", "wb"))  # noqa: SIM115
    with pytest.raises(UserError, match="No space left"):
        ImagePool(images(), PATCH_PX, spill=tmp_path, budget_bytes=0)


def test_the_budget_is_part_of_what_is_free_and_shared_by_the_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("n2b.training.data.image_pool.available_bytes", lambda: 8000)
    assert memory_budget(torch.device("cpu")) == 4000
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert memory_budget(torch.device("cpu")) == 1000
    monkeypatch.setattr("n2b.training.data.image_pool.available_bytes", lambda: None)
    assert memory_budget(torch.device("cpu")) == float("inf")
