"""The DND benchmark's files, on a folder with the same layout."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.errors import ImageError, MissingPackageError, UserError
from n2b.runtime.images.dnd import (
    DndCrop,
    held_out_crops,
    list_crops,
    read_crops,
    read_windows,
    split_crops,
)

from ..fakes.dnd_folder import BOX_PX, SIZES, make_folder, top_left

h5py = pytest.importorskip("h5py")


@pytest.fixture
def benchmark(tmp_path: Path) -> tuple[Path, list[np.ndarray]]:
    """The folder, and its images as float64 (H, W, 3)."""
    return make_folder(tmp_path / "dnd")


def test_boxes_are_listed_in_order_counted_from_one(benchmark: tuple[Path, list[np.ndarray]]) -> None:
    crops = list_crops(benchmark[0])
    assert [(crop.image, crop.box) for crop in crops] == [(i, b) for i in (1, 2, 3) for b in (1, 2, 3, 4)]
    assert crops[5] == DndCrop(image=2, box=2, top=4, left=5, height=BOX_PX, width=BOX_PX)


def test_crops_are_the_pixels_inside_of_the_boxes(benchmark: tuple[Path, list[np.ndarray]]) -> None:
    folder, images = benchmark
    crops = list_crops(folder)[::-1]
    read = list(read_crops(folder, crops))
    assert [crop for crop, _ in read] == crops
    for crop, pixels in read:
        top, left = top_left(crop.image - 1, crop.box - 1)
        expected = images[crop.image - 1][top : top + BOX_PX, left : left + BOX_PX]
        assert (pixels.dtype, pixels.shape) == (np.float32, (BOX_PX, BOX_PX, 3))
        assert np.abs(pixels - expected).max() < 1e-6


def test_a_window_has_the_halo_and_begins_at_a_multiple(benchmark: tuple[Path, list[np.ndarray]]) -> None:
    folder, images = benchmark
    crops = list_crops(folder)
    for crop, pixels, box in read_windows(folder, crops, halo_px=5, multiple_px=8):
        height, width = SIZES[crop.image - 1]
        top, left = crop.top - box[0].start, crop.left - box[1].start
        bottom, right = top + pixels.shape[0], left + pixels.shape[1]
        assert top % 8 == left % 8 == 0 and (bottom % 8 == 0 or bottom == height)
        assert right % 8 == 0 or right == width
        assert top <= max(0, crop.top - 5) and bottom >= min(height, crop.top + BOX_PX + 5)
        assert left <= max(0, crop.left - 5) and right >= min(width, crop.left + BOX_PX + 5)
        np.testing.assert_allclose(pixels, images[crop.image - 1][top:bottom, left:right], atol=1e-6)


def test_the_seed_halves_the_crops_without_overlap(benchmark: tuple[Path, list[np.ndarray]]) -> None:
    crops = list_crops(benchmark[0])
    training, held_out = split_crops(crops, seed=1)
    assert len(training) == len(held_out) == 6
    assert sorted(training + held_out) == crops
    assert training == sorted(training)
    assert split_crops(crops, seed=1) == (training, held_out)
    assert split_crops(crops, seed=2)[0] != training
    assert held_out_crops(benchmark[0], seed=1) == held_out


def test_a_folder_that_is_no_benchmark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"info\.mat is missing"):
        list_crops(tmp_path)
    (tmp_path / "info.mat").write_text("no HDF5")
    with pytest.raises(UserError, match=r"info\.mat cannot be read"):
        list_crops(tmp_path)
    with h5py.File(tmp_path / "info.mat", "w") as file:
        file["other"] = 1
    with pytest.raises(UserError, match="not the DND benchmark"):
        list_crops(tmp_path)


def test_an_image_that_is_missing_damaged_or_too_small_is_named(
    benchmark: tuple[Path, list[np.ndarray]],
) -> None:
    folder = benchmark[0]
    (folder / "images_srgb" / "0001.mat").unlink()
    (folder / "images_srgb" / "0002.mat").write_bytes(b"")
    with h5py.File(folder / "images_srgb" / "0003.mat", "w") as file:
        file["InoisySRGB"] = np.zeros((3, 20, 20), np.float32)
    for image, words in ((1, "is missing"), (2, "cannot be read"), (3, "its box 4")):
        crop = [crop for crop in list_crops(folder) if crop.image == image][-1]
        with pytest.raises(ImageError, match=rf"000{image}\.mat.*{words}"):
            list(read_crops(folder, [crop]))


def test_without_h5py_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingPackageError, match=r"noise2blur\[dnd\]"):
        list_crops(tmp_path)
