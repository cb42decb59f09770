from __future__ import annotations

import numpy as np
import pytest
import torch
from n2b.training.data.flat_noise import KNOTS, MAX_PATCHES, FlatNoise, find_flat_noise

S = 32


def camera_frame(seed: int, gain: float = 0.1, read: float = 2.0) -> np.ndarray:
    """Grey steps with a texture in the lower third, and noise of variance gain·y + read²."""
    rng = np.random.default_rng(seed)
    clean = np.repeat(np.repeat([[40.0, 80, 120], [160, 200, 100]], 128, axis=0), 128, axis=1)
    texture = 60 * (rng.random((128, 384)) > 0.5) + 60
    clean = np.concatenate([clean, texture])[:, :, None].repeat(3, axis=2)
    noisy = clean + np.sqrt(gain * clean + read**2) * rng.standard_normal(clean.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def test_patches_come_from_flat_areas_and_hold_the_noise() -> None:
    noisy = camera_frame(0)
    flat = find_flat_noise([noisy], S, seed=0)
    assert len(flat) > 20
    patches = 255 * flat.patches.float()
    assert float(patches.mean(dim=(2, 3)).abs().max()) < 0.02
    sigma = patches.std(dim=(1, 2, 3))
    expected = (0.1 * flat.brightness + 4).sqrt()
    assert (
        float((sigma / expected - 1).abs().max()) < 0.12
    )  # windows on an edge or the texture would exceed it
    assert {round(float(b) / 20) * 20 for b in flat.brightness} <= {40, 80, 100, 120, 160, 200}


def test_the_noise_level_follows_the_brightness() -> None:
    flat = find_flat_noise([camera_frame(0)], S, seed=0)
    assert flat.level.shape == (1, KNOTS)
    for brightness in (48, 80, 112, 160, 192):
        expected = (0.1 * brightness + 4) ** 0.5
        assert float(flat.level[0, brightness // 16]) == pytest.approx(expected, rel=0.1)


def test_over_a_clean_crop_the_noise_is_as_strong_as_the_camera_makes_it_there() -> None:
    flat = find_flat_noise([camera_frame(0)], S, seed=0)
    index = torch.arange(len(flat))
    for brightness in (60, 180):
        clean = torch.full((len(flat), 3, S, S), brightness / 255)
        noise = 255 * flat.at(index, torch.zeros(len(flat), 2, dtype=torch.bool), clean)
        assert noise.shape == clean.shape
        expected = (0.1 * brightness + 4) ** 0.5
        assert float(noise.square().mean().sqrt()) == pytest.approx(expected, rel=0.1)


def test_patches_are_flipped_one_by_one() -> None:
    flat = find_flat_noise([camera_frame(0)], S, seed=0)
    index, clean = torch.zeros(4, dtype=torch.int64), torch.full((4, 3, S, S), 0.5)
    flipped = torch.tensor([[False, False], [True, False], [False, True], [True, True]])
    straight, down, left, both = flat.at(index, flipped, clean)
    assert torch.equal(down, straight.flip(1))
    assert torch.equal(left, straight.flip(2))
    assert torch.equal(both, straight.flip(1, 2))


def test_each_image_keeps_its_own_level() -> None:
    frames = [camera_frame(0, gain=0, read=2), camera_frame(1, gain=0, read=8)]
    flat = find_flat_noise(frames, S, seed=0)
    for image, sigma in ((0, 2), (1, 8)):
        patches = 255 * flat.patches[flat.image == image].float()
        assert float(patches.std()) == pytest.approx(sigma, rel=0.1)
        assert float(flat.level[image].mean()) == pytest.approx(sigma, rel=0.1)


def test_of_one_source_only_windows_with_its_spectrum_are_kept() -> None:
    white = 10 * np.random.default_rng(0).standard_normal((256, 256, 3))
    soft = 10 * np.random.default_rng(1).standard_normal((256, 256, 1)).repeat(3, axis=2)  # a fine texture
    soft = soft + np.roll(soft, 1, axis=0) + np.roll(soft, 1, axis=1) + np.roll(soft, 1, axis=(0, 1))
    frames = [np.clip(np.rint(128 + added), 0, 255).astype(np.uint8) for added in (white, soft)]
    every, pure = (find_flat_noise(frames, S, seed=0, one_source=only) for only in (False, True))
    assert set(every.image.tolist()) == {0, 1}
    assert set(pure.image.tolist()) == {0}
    assert len(pure) >= int((every.image == 0).sum()) // 2
    assert float(pure.level[0].mean()) == pytest.approx(10, rel=0.1)


def test_an_image_that_is_all_texture_has_no_flat_noise() -> None:
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::8] = 255
    flat = find_flat_noise([stripes], S, seed=0)
    assert len(flat) == 0
    assert flat.patches.shape == (0, 3, S, S)


def test_the_choice_among_many_is_bounded_and_repeatable() -> None:
    frame = camera_frame(0)
    every = find_flat_noise([frame], S, seed=0)
    first, again, other = (find_flat_noise([frame], S, seed=seed, max_patches=10) for seed in (0, 0, 1))
    assert 0 < len(first) <= 10 < len(every) < MAX_PATCHES
    assert torch.equal(first.patches, again.patches)
    assert not torch.equal(first.patches, other.patches)


def test_an_image_of_one_window_serves() -> None:
    noisy = np.random.default_rng(0).normal(100, 5, (S, S, 3)).round().astype(np.uint8)
    flat = find_flat_noise([noisy], S, seed=0)
    assert isinstance(flat, FlatNoise)
    assert float(flat.level[0].mean()) == pytest.approx(5, rel=0.2)
