"""The images of the paper's tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from n2b.runtime.errors import UserError

from benchmarks.paper.experiments import GAUSSIAN_25, N2B, N2B_ONE, Condition
from benchmarks.paper.images import test_pairs as pairs_of
from benchmarks.paper.images import training_images
from benchmarks.paper.settings import Settings

CAMERA = Condition("camera", camera="camera")


def test_noisy_clean_and_validation_photographs_are_different_files(settings: Settings) -> None:
    images = training_images(GAUSSIAN_25, N2B, settings)
    files = [*images.noisy, *images.clean, *images.validation]
    assert (len(images.noisy), len(images.clean), len(images.validation)) == (3, 2, 1)
    assert len(set(files)) == len(files)


def test_one_noisy_image_is_one_of_all_and_the_clean_ones_stay(settings: Settings) -> None:
    one, all_images = (training_images(GAUSSIAN_25, system, settings) for system in (N2B_ONE, N2B))
    assert one.noisy == all_images.noisy[:1]
    assert one.clean == all_images.clean


def test_too_few_photographs_are_reported(settings: Settings) -> None:
    with pytest.raises(UserError, match="7 photographs, 12 are needed"):
        training_images(GAUSSIAN_25, N2B, replace(settings, clean_images=8))


def test_pairs_are_middles_with_noise_of_the_strength_asked_for(settings: Settings) -> None:
    pairs = pairs_of(GAUSSIAN_25, replace(settings, images=5))
    assert [pair.clean.shape for pair in pairs] == 5 * [(24, 24, 3)]
    noise = np.concatenate([pair.noisy.astype(float) - pair.clean for pair in pairs])
    assert noise.std() == pytest.approx(25, rel=0.1)


def test_the_same_noise_every_time(settings: Settings) -> None:
    first, second = (pairs_of(GAUSSIAN_25, settings) for _ in range(2))
    assert all(np.array_equal(a.noisy, b.noisy) for a, b in zip(first, second, strict=True))


def test_whole_images_on_request(settings: Settings) -> None:
    assert pairs_of(GAUSSIAN_25, replace(settings, crop_px=0))[0].clean.shape == (40, 40, 3)


def test_a_camera_is_tested_on_scenes_that_are_not_trained_on(settings: Settings) -> None:
    trained = [path.name for path in training_images(CAMERA, N2B, settings).noisy]
    assert trained == ["0.png", "1.png", "2.png", "4.png", "5.png", "6.png"]
    assert len(pairs_of(CAMERA, settings)) == 2


def test_a_camera_of_few_scenes_gives_several_crops_of_each(settings: Settings) -> None:
    pairs = pairs_of(CAMERA, replace(settings, images=6, crop_px=12))
    assert len(pairs) == 6
    assert len({pair.noisy.tobytes() for pair in pairs}) == 6


def test_a_scene_without_its_clean_image_is_reported(settings: Settings) -> None:
    (settings.real[0] / "clean" / "3.png").unlink()
    with pytest.raises(UserError, match=r"lacks 3\.png"):
        pairs_of(CAMERA, settings)
