"""The noise model of a run, and images of which hardly any part is neither black nor white."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.images.image import Image, write_image
from n2b.training.config import TrainConfig
from n2b.training.data.camera_noise import model_noise
from n2b.training.data.dataset import load_dataset
from n2b.training.data.flat_noise import find_flat_noise

from ..conftest import save_images, smooth_image


def save_noisy(folder: Path, *images: np.ndarray) -> Path:
    for number, pixels in enumerate(images):
        write_image(folder / f"{number}.png", Image(np.clip(pixels, 0, 255).astype(np.uint8)))
    return folder


def test_a_resumed_run_has_the_noise_model_that_it_began_with(tmp_path: Path) -> None:
    """It is saved with few decimal places, and every start of the run works with those."""
    noise = np.random.default_rng(0).normal(0, 9, (96, 80, 3))
    noisy = save_noisy(tmp_path / "noisy", smooth_image(0) + noise, smooth_image(1) + noise)
    clean = save_images(tmp_path / "clean", 2, 5)
    config = TrainConfig(
        noisy=(str(noisy),), clean=(str(clean),), steps=1, patch_px=32, filter="mean:3", noise_model=True
    )
    pool = load_dataset(config, tmp_path / "run", "cpu").noisy
    begun, resumed = (model_noise(pool, tmp_path / "other", 0) for _ in range(2))
    for name in begun.__dataclass_fields__:
        assert np.array_equal(getattr(begun, name), getattr(resumed, name)), name


NEARLY_ONE_VALUE = {
    "hot pixels": (0, 255, 1e-4),
    "many hot pixels": (0, 200, 1e-3),
    "one hot pixel": (0, 255, 1e-5),
    "dead pixels": (255, 0, 2e-5),
    "many dead pixels": (255, 0, 1e-3),
    "grey with hot pixels": (128, 255, 1e-3),
    "black": (0, 0, 0.0),
    "white": (255, 255, 0.0),
}


def nearly_one_value(kind: str) -> np.ndarray:
    background, other, share = NEARLY_ONE_VALUE[kind]
    pixels = np.full((160, 240, 3), background, np.uint8)
    pixels[np.random.default_rng(0).random((160, 240)) < share] = other
    pixels[80, 120] = other
    return pixels


@pytest.mark.parametrize("kind", NEARLY_ONE_VALUE)
def test_images_of_nearly_one_value_have_noise_of_some_kind(kind: str) -> None:
    flat = find_flat_noise([nearly_one_value(kind)], 32, seed=0)
    assert np.isfinite(flat.level.numpy()).all()
    assert np.isfinite(flat.patches.float().numpy()).all()


@pytest.mark.parametrize("uses_model", [False, True])
@pytest.mark.parametrize("kind", ["hot pixels", "dead pixels", "black"])
def test_a_training_reads_images_of_nearly_one_value(tmp_path: Path, kind: str, uses_model: bool) -> None:
    noisy = save_noisy(tmp_path / "noisy", nearly_one_value(kind))
    clean = save_images(tmp_path / "clean", 2, 5)
    config = TrainConfig(
        noisy=(str(noisy),), clean=(str(clean),), steps=1, patch_px=64, filter="mean:3",
        noise_model=uses_model, flat_noise=not uses_model,
    )  # fmt: skip
    dataset = load_dataset(config, tmp_path / "run", "cpu")
    assert len(dataset.noisy) == 1
    if uses_model:
        assert dataset.noise_model is not None
        assert np.isfinite(dataset.noise_model.level).all()
    else:
        assert dataset.flat_noise is not None
