from __future__ import annotations

import numpy as np
import torch
from n2b.training.noise_model.bank import NoiseBank
from n2b.training.noise_model.covariance import autocovariance, tapered, with_unit_rms
from n2b.training.noise_model.model import REACH_PX
from n2b.training.noise_model.spectrum import fields, filter_of

from .models import simple_model


def blurred() -> np.ndarray:
    shift = np.arange(-REACH_PX, REACH_PX + 1)
    over_pixels = np.exp(-(shift[:, None] ** 2 + (shift - 0.0) ** 2) / 4)
    channels = np.array([[1.2, 0.4, 0.1], [0.4, 1.0, 0.3], [0.1, 0.3, 0.8]])
    return with_unit_rms(tapered(channels[:, :, None, None] * over_pixels))


def drawn(bank: NoiseBank, count: int, seed: int = 0) -> dict[str, torch.Tensor]:
    values = bank.draw(np.random.default_rng(seed), count)
    return {name: torch.from_numpy(value) for name, value in values.items()}


def test_fields_have_the_covariance_they_are_made_for() -> None:
    made = fields(filter_of(blurred(), 64), 200, np.random.default_rng(0))
    assert np.abs(autocovariance(made) - blurred()).max() < 0.03


def test_a_covariance_that_is_not_symmetric_keeps_its_direction() -> None:
    leaning = blurred()
    leaning[0, 1] = np.roll(leaning[0, 1], 1, axis=1)
    leaning[1, 0] = leaning[0, 1][::-1, ::-1]
    made = fields(filter_of(leaning, 64), 200, np.random.default_rng(0))
    assert np.abs(autocovariance(made) - leaning).max() < 0.05


def test_noise_has_the_level_and_covariance_of_the_model() -> None:
    bank = NoiseBank(simple_model(10.0, covariance=blurred()), 64, seed=0)
    noise = bank.over(torch.full((200, 3, 64, 64), 0.5), drawn(bank, 200)).numpy() * 25.5
    assert np.abs(autocovariance(noise) - blurred()).max() < 0.06


def test_noise_follows_the_brightness() -> None:
    model = simple_model()
    model.image_level[:] = np.arange(17)  # σ = brightness / 16
    bank = NoiseBank(model, 64, seed=0)
    clean = torch.zeros(50, 3, 64, 64)
    clean[..., 32:] = 128 / 255
    noise = 255 * bank.over(clean, drawn(bank, 50))
    assert abs(noise[..., 40:].std().item() - 8) < 0.3
    assert noise[..., :24].abs().max() < 1e-3


def test_the_same_seed_and_draw_give_the_same_noise() -> None:
    clean = torch.rand(3, 3, 32, 32)
    first, second = (NoiseBank(simple_model(), 32, seed=4) for _ in range(2))
    assert torch.equal(first.over(clean, drawn(first, 3)), second.over(clean, drawn(second, 3)))
    assert not torch.equal(first.over(clean, drawn(first, 3, 1)), first.over(clean, drawn(first, 3, 2)))
