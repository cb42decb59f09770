from __future__ import annotations

import numpy as np
import pytest
import torch
from n2b.training.evaluation.validation import Validation, side_by_side
from n2b.training.models.value_transform import to_domain
from n2b.training.noise import parse_noise
from torch import nn

from ..conftest import smooth_image


class Constant(nn.Module):
    """Gives grey, whatever comes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.full_like(x, 128 / 255)


class Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


def test_gain_is_the_part_of_the_noise_that_the_extractor_gives() -> None:
    grey = [np.full((64, 64, 3), 128, np.uint8)] * 3
    validation = Validation(grey, parse_noise("gaussian:20"), seed=0)
    networks: dict[str, nn.Module] = {"denoiser": Constant(), "extractor": Scale(0.75)}
    values, _ = validation.measure(networks, torch.device("cpu"))
    assert values["gain"] == pytest.approx(0.75, rel=1e-3)
    assert values["psnr_db"] == float("inf")
    assert values["psnr_noisy_db"] == pytest.approx(20 * np.log10(255 / 20), abs=0.1)


def test_an_untouched_image_has_the_psnr_of_the_noisy_one() -> None:
    validation = Validation([smooth_image(0)], parse_noise("gaussian:10"), seed=0)
    values, shown = validation.measure({"denoiser": nn.Identity()}, torch.device("cpu"))
    assert values == {"psnr_db": values["psnr_noisy_db"], "psnr_noisy_db": values["psnr_noisy_db"]}
    assert (shown["noisy"] == shown["denoised"]).all()
    assert (shown["clean"] == smooth_image(0)).all()
    assert side_by_side(shown).shape == (96, 3 * 80, 3)


def test_with_real_noise_the_noise_map_is_measured_in_grey_levels() -> None:
    noisy = np.random.default_rng(0).normal(128, 10, (64, 64, 3)).round().astype(np.uint8)
    networks: dict[str, nn.Module] = {"denoiser": Constant(), "extractor": Scale(0.5)}
    values, shown = Validation([noisy], None).measure(networks, torch.device("cpu"))
    assert set(values) == {"noise_map"}
    assert values["noise_map"] == pytest.approx(5, rel=0.05)
    assert "clean" not in shown
    np.testing.assert_allclose(shown["residual"], noisy.astype(float) - 128, atol=0.1)
    np.testing.assert_allclose(shown["extracted"], shown["residual"] / 2, atol=0.1)


def test_in_the_log_domain_the_gain_is_that_of_the_log() -> None:
    bright = [np.full((64, 64, 3), 128, np.uint8)]
    validation = Validation(bright, parse_noise("speckle:0.02"), "log", seed=0)
    constant = float(to_domain(torch.tensor(128 / 255), "log"))

    class LogConstant(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.full_like(x, constant)

    networks: dict[str, nn.Module] = {"denoiser": LogConstant(), "extractor": nn.Identity()}
    values, shown = validation.measure(networks, torch.device("cpu"))
    assert values["gain"] == pytest.approx(1, rel=1e-3)
    assert (shown["denoised"] == 128).all()
