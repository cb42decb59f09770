from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.errors import UserError
from n2b.runtime.image import Image, write_image
from n2b.training.config import TrainConfig
from n2b.training.data import ImagePool, make_labels, read_photographs, split_in_halves
from n2b.training.dataset import load_dataset
from n2b.training.filters import parse_filter

from .conftest import picture


def test_crops_are_decided_by_the_generator_alone() -> None:
    pool = ImagePool([picture(0), picture(1)], 32)
    first, again, other = (pool.crops(8, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (8, 32, 32, 3)
    assert (first == again).all()
    assert (first != other).any()


def test_crops_come_from_images_in_proportion_to_their_area() -> None:
    small, large = np.zeros((40, 40, 3), np.uint8), np.full((150, 150, 3), 255, np.uint8)
    crops = ImagePool([small, large], 32).crops(2000, np.random.default_rng(0))
    positions = (150 - 31) ** 2 / ((150 - 31) ** 2 + (40 - 31) ** 2)
    assert (crops[:, 0, 0, 0] == 255).mean() == pytest.approx(positions, abs=0.01)


def test_crops_show_all_eight_symmetries() -> None:
    image = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    seen = {crop.tobytes() for crop in ImagePool([image], 8).crops(200, np.random.default_rng(0))}
    assert len(seen) == 8


def test_noisy_and_label_are_cropped_alike(pictures: Path, tmp_path: Path) -> None:
    config = TrainConfig(noisy=(str(pictures),), noise="gaussian:25", filter="mean:3", patch_px=32, steps=1)
    dataset = load_dataset(config, tmp_path / "labels")
    image = dataset.noisy.images[0]
    assert (image[..., 3:] == parse_filter("mean:3")(np.ascontiguousarray(image[..., :3]))).all()
    assert dataset.noisy.crops(2, np.random.default_rng(0)).shape == (2, 32, 32, 6)


def test_without_clean_images_the_noisy_ones_are_split_without_overlap(
    pictures: Path, tmp_path: Path
) -> None:
    config = TrainConfig(noisy=(str(pictures),), noise="gaussian:0", patch_px=32, steps=1)
    dataset = load_dataset(config, tmp_path / "labels")
    noisy = {image[..., :3].tobytes() for image in dataset.noisy.images}
    clean = {image.tobytes() for image in dataset.clean.images}
    assert len(noisy) == len(clean) == 3
    assert not noisy & clean


def test_one_image_alone_cannot_be_split() -> None:
    with pytest.raises(UserError, match="--clean"):
        split_in_halves([picture(0)], seed=0)


def test_labels_are_made_once_and_cached(tmp_path: Path) -> None:
    calls = []

    def blur(image: np.ndarray) -> np.ndarray:
        calls.append(1)
        return image // 2

    images = [picture(0), picture(1)]
    first = make_labels(images, blur, "half", tmp_path)
    second = make_labels(images, blur, "half", tmp_path)
    other = make_labels(images, blur, "other", tmp_path)
    assert len(calls) == 4
    assert all((a == b).all() and (a == i // 2).all() for a, b, i in zip(first, second, images, strict=True))
    assert len(other) == 2


def test_grey_alpha_and_16_bit_images_become_rgb8(tmp_path: Path) -> None:
    grey16 = np.linspace(0, 65535, 40 * 40, dtype=np.uint16).reshape(40, 40, 1)
    write_image(tmp_path / "grey16.png", Image(grey16))
    write_image(tmp_path / "alpha.png", Image(picture(0), alpha=np.full((96, 80), 7, np.uint8)))
    alpha, grey = read_photographs([tmp_path / "alpha.png", tmp_path / "grey16.png"], 32)
    assert (alpha == picture(0)).all()
    assert grey.shape == (40, 40, 3)
    assert (grey[..., :1] == np.rint(grey16 / 257)).all()


def test_bad_and_small_images_are_named_skipped_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    write_image(tmp_path / "small.png", Image(picture(0, 20, 20)))
    write_image(tmp_path / "good.png", Image(picture(0)))
    names = [tmp_path / name for name in ("bad.png", "small.png", "good.png")]
    assert len(read_photographs(names, 32)) == 1
    warnings = capsys.readouterr().err
    assert "bad.png" in warnings
    assert "1 of 3" in warnings
    with pytest.raises(UserError, match="1 unreadable, 1 smaller"):
        read_photographs(names[:2], 32)
