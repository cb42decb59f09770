"""Images of more than 8 bits are trained on with all their levels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from n2b.runtime.images.convert import to_grey_levels
from n2b.runtime.images.image import Image, write_image
from n2b.training.checkpoint import load_checkpoint, load_denoiser
from n2b.training.config import TrainConfig
from n2b.training.data.dataset import Dataset, load_dataset
from n2b.training.data.flat_noise import find_flat_noise
from n2b.training.data.image_pool import ImagePool
from n2b.training.evaluation.no_reference import assess_quality
from n2b.training.evaluation.validation import denoise_with
from n2b.training.labels.filters import parse_filter
from n2b.training.loop import train

from .conftest import save_images, smooth_image

MAX_SIGNAL, BITS_12 = 200, 4095  # levels of a 12-bit camera in low light


def low_light(seed: int, sigma: float = 6.0) -> np.ndarray:
    """Return a noisy image of 12 bits in the upper bits of 16, signal 0..200 of 4095: uint16 (96, 80, 3)."""
    signal = smooth_image(seed) / 255 * MAX_SIGNAL
    noisy = signal + np.random.default_rng(seed).normal(0, sigma, signal.shape)
    return np.clip(np.rint(noisy), 0, BITS_12).astype(np.uint16) * 16


@pytest.fixture
def low_light_folder(tmp_path: Path) -> Path:
    for seed in range(3):
        write_image(tmp_path / "noisy" / f"{seed}.png", Image(low_light(seed)))
    return tmp_path / "noisy"


def load(run: Path, *noisy: Path, **fields: Any) -> Dataset:
    config = TrainConfig(noisy=tuple(map(str, noisy)), steps=1, **{"patch_px": 32, **fields})
    return load_dataset(config, run, "cpu")


def test_a_pool_of_16_bits_keeps_every_level(tmp_path: Path) -> None:
    image = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    for spill, budget in ((None, None), (tmp_path, 1000)):
        pool = ImagePool([image, image[:64]], 64, spill=spill, budget_bytes=budget)
        assert (pool.is_deep, pool.white, pool.is_on_disk) == (True, 65535, spill is not None)
        assert (pool.image(0) == image).all() and (pool.image(1) == image[:64]).all()
        crops = pool.crops(np.array([(0, 192, 192, 0), (0, 3, 5, 0)]))
        assert crops.float().div(pool.white).max() == 1
        for crop, (top, left) in zip(crops, ((192, 192), (3, 5)), strict=True):
            assert (crop[0].numpy() == image[top : top + 64, left : left + 64, 0]).all()


def test_the_noisy_images_decide_the_depth(
    low_light_folder: Path, image_folder: Path, tmp_path: Path
) -> None:
    deep = load(tmp_path / "run", low_light_folder, clean=(str(image_folder),), method="n2v")
    assert deep.noisy.is_deep and deep.clean.is_deep
    assert (deep.noisy.image(0) == low_light(0)).all()
    assert (deep.clean.image(0) == smooth_image(0) * np.uint16(257)).all()
    assert deep.noisy_samples[0].pixels.dtype == np.uint16
    mixed = load(tmp_path / "run", image_folder, low_light_folder, clean=(str(image_folder),), method="n2v")
    assert mixed.noisy.is_deep and (mixed.noisy.image(0) == smooth_image(0) * np.uint16(257)).all()
    shallow = load(tmp_path / "run", image_folder, clean=(str(low_light_folder),), method="n2v")
    assert not shallow.noisy.is_deep and not shallow.clean.is_deep
    synthetic = load(tmp_path / "run", low_light_folder, noise="gaussian:5", method="n2v")
    assert not synthetic.noisy.is_deep and not synthetic.clean.is_deep


def test_float_images_keep_their_levels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((40, 40, 3), np.float32) / 50
    write_image(tmp_path / "a.tif", Image(pixels))
    dataset = load(tmp_path / "run", tmp_path / "a.tif", method="n2v")
    np.testing.assert_allclose(dataset.noisy.image(0) / 65535, pixels, atol=0.51 / 65535)


@pytest.mark.parametrize("spec", ["bilateral", "gaussian:3", "mean:5", "median:7"])
@pytest.mark.parametrize("domain", ["linear", "log"])
def test_labels_of_deep_images_are_those_of_8_bits_and_finer(spec: str, domain: str) -> None:
    blur = parse_filter(spec, domain)
    rng = np.random.default_rng(0)
    image = np.clip(smooth_image(0) + rng.normal(0, 8, (96, 80, 3)), 0, 255)
    shallow, deep = np.rint(image).astype(np.uint8), np.rint(image * 257).astype(np.uint16)
    label = blur(deep)
    assert label.dtype == np.uint16 and len(np.unique(label)) > 256
    np.testing.assert_allclose(to_grey_levels(label), blur(shallow), atol=3.5)
    assert np.abs(to_grey_levels(label) - blur(shallow)).mean() < 0.7


def test_the_median_of_deep_images_is_exact() -> None:
    image = low_light(1)
    label = parse_filter("median:31")(image)
    padded = np.pad(image, ((15, 15), (15, 15), (0, 0)), mode="edge")
    for row, column in ((0, 0), (40, 30), (95, 79)):
        window = padded[row : row + 31, column : column + 31]
        assert (label[row, column] == np.median(window, axis=(0, 1))).all()


def test_labels_are_cached_by_depth(low_light_folder: Path, tmp_path: Path) -> None:
    for _ in range(2):
        dataset = load(tmp_path / "run", low_light_folder, filter="gaussian:2")
        pair = dataset.noisy.image(0)
        assert pair.dtype == np.uint16
        assert (pair[..., 3:] == parse_filter("gaussian:2")(np.ascontiguousarray(pair[..., :3]))).all()
    assert len(list((tmp_path / "labels").iterdir())) == 3


def test_the_noise_of_flat_areas_may_be_weaker_than_rounding_to_8_bits() -> None:
    rng = np.random.default_rng(0)
    levels = 40 + rng.normal(0, 0.1, (256, 256, 3))
    flat = find_flat_noise([levels.astype(np.float32)], 32, seed=0)
    noise = flat.at(torch.zeros(1, dtype=torch.int64), torch.zeros(1, 2, dtype=torch.bool),
                    torch.full((1, 3, 32, 32), 40 / 255))  # fmt: skip
    assert float(255 * noise.std()) == pytest.approx(0.1, rel=0.2)


def test_quality_is_measured_at_the_depth_of_the_images() -> None:
    rng = np.random.default_rng(0)
    clean = np.full((128, 128, 3), 300.0)
    noisy = np.rint(clean + rng.normal(0, 20, clean.shape)).astype(np.uint16)
    quality = assess_quality(noisy, np.rint(clean + (noisy - clean) / 4).astype(np.uint16))
    assert quality.sigma_before == pytest.approx(20 / 257, rel=0.15)
    assert quality.remaining_noise == pytest.approx(0.25, abs=0.03)


def test_low_light_images_are_trained_on_and_denoised_with_more_than_256_levels(
    low_light_folder: Path, tmp_path: Path
) -> None:
    clean = save_images(tmp_path / "clean", 3, first_seed=7)
    config = TrainConfig(
        noisy=(str(low_light_folder),), clean=(str(clean),), arch="edge", steps=3, batch=2, patch_px=32,
        device="cpu", precision="fp32", compile="off",
    )  # fmt: skip
    config.save(tmp_path / "run")
    checkpoint = train(config, tmp_path / "run")
    assert load_checkpoint(checkpoint)["trained"]["bit_depth"] == 16
    assert (tmp_path / "run" / "report" / "index.html").is_file()
    network, info = load_denoiser(checkpoint)
    assert info.trained["bit_depth"] == 16
    denoised = denoise_with(network, "linear", torch.device("cpu"))(low_light(0))
    assert denoised.dtype == np.uint16
    assert len(np.unique(denoised)) > 256
