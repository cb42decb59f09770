from __future__ import annotations

import numpy as np
import pytest
from n2b.training.noise_model import NoiseModel, estimate_noise
from n2b.training.noise_model.covariance import tapered, white, with_unit_rms
from n2b.training.noise_model.model import REACH_PX
from n2b.training.noise_model.spectrum import fields, filter_of

from .scenes import scene


def correlated() -> np.ndarray:
    """White noise blurred by a Gaussian of σ 0.9 px, alike in the channels by a half."""
    shift = np.arange(-REACH_PX, REACH_PX + 1)
    over_pixels = np.exp(-(shift[:, None] ** 2 + shift**2) / (4 * 0.9**2))
    over_channels = np.full((3, 3), 0.5) + 0.5 * np.eye(3)
    return with_unit_rms(tapered(over_channels[:, :, None, None] * over_pixels))


def constant(brightness: np.ndarray) -> np.ndarray:
    return np.full_like(brightness, 8.0)


def rising(brightness: np.ndarray) -> np.ndarray:
    return np.sqrt(9 + 0.3 * brightness)


def noisy(count: int, covariance: np.ndarray, level: object, **options: float) -> list[np.ndarray]:
    """Scenes with noise, rounded and clipped to uint8."""
    root = filter_of(covariance, 512)
    images = []
    for seed in range(count):
        y = scene(seed, **options)  # type: ignore[arg-type]
        noise = fields(root, 1, np.random.default_rng([3, seed]))[0].transpose(1, 2, 0)
        sigma = level(y.mean(axis=2, keepdims=True))  # type: ignore[operator]
        images.append(np.rint(np.clip(y + sigma * noise, 0, 255)).astype(np.uint8))
    return images


def level_errors(model: NoiseModel, level: object) -> np.ndarray:
    """Of each image: σ found over the true one, in the mean over the brightnesses that scenes have."""
    at = np.linspace(48, 208, 17)
    return np.array(
        [(model.level_at(image, at) / level(at)).mean() for image in range(len(model.source))]  # type: ignore[operator]
    )


@pytest.mark.parametrize(
    ("covariance", "level", "count"),
    [
        (white(), constant, 1), (white(), constant, 5),
        (correlated(), constant, 1), (correlated(), constant, 5),
        (white(), rising, 1), (white(), rising, 5), (correlated(), rising, 1), (correlated(), rising, 5),
        pytest.param(correlated(), rising, 15, marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_known_noise_is_recovered(covariance: np.ndarray, level: object, count: int) -> None:
    model = estimate_noise(noisy(count, covariance, level))
    errors = np.abs(level_errors(model, level) - 1)
    assert errors.mean() < 0.1
    assert errors.max() < 0.15
    assert np.abs(model.covariance.mean(axis=0) - covariance).max() < 0.05


def test_levels_of_textured_images_are_those_of_their_camera() -> None:
    images = noisy(4, white(), constant) + noisy(1, white(), constant, textured=1.0)
    errors = level_errors(estimate_noise(images), constant)
    assert errors[4] < 1.25


def test_noise_of_one_camera_is_not_lent_to_another() -> None:
    alike = (np.full((3, 3), 0.9) + 0.1 * np.eye(3))[:, :, None, None] * white()[:1, :1]
    strong = noisy(2, alike, lambda brightness: np.full_like(brightness, 16.0))
    weak = noisy(1, white(), lambda brightness: np.full_like(brightness, 3.0))
    textured = noisy(1, white(), lambda brightness: np.full_like(brightness, 3.0), textured=1.0)
    model = estimate_noise([*strong, *weak, *textured])
    assert model.windows[3] < 8 < model.windows[:3].min()
    likeness = model.covariance[:, 0, 1, REACH_PX, REACH_PX]  # of the red channel to the green one
    assert likeness[:2].min() > 0.8
    assert likeness[3] < 0.2


def test_an_image_with_no_flat_place_has_a_model() -> None:
    model = estimate_noise(noisy(1, white(), constant, textured=1.0))
    assert np.isfinite(model.covariance).all()
    assert np.isfinite(model.image_level).all()


def test_a_grey_image_has_the_same_noise_in_all_channels() -> None:
    grey = noisy(1, white(), constant)[0][..., :1]
    model = estimate_noise([np.repeat(grey, 3, axis=2)])
    assert np.allclose(model.covariance[0, 0, 1], model.covariance[0, 0, 0], atol=1e-6)


def test_16_bit_and_floating_point_are_read_on_their_own_scale() -> None:
    image = noisy(1, white(), constant)[0]
    of_8_bit = estimate_noise([image]).level
    assert np.allclose(estimate_noise([image.astype(np.uint16) * 257]).level, of_8_bit, rtol=0.01)
    assert np.allclose(estimate_noise([image.astype(np.float32) / 255]).level, of_8_bit, rtol=0.01)


def test_an_image_of_one_colour_does_not_fail() -> None:
    model = estimate_noise([np.full((64, 64, 3), 128, np.uint8)])
    assert (model.level < 0.5).all()


def test_no_image_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        estimate_noise([])
