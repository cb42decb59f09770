from __future__ import annotations

import numpy as np
import pytest
import torch
from n2b.training.noise import parse_noise
from n2b.training.validation import Validation
from torch import nn

from .conftest import picture


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
    validation = Validation([picture(0)], parse_noise("gaussian:10"), seed=0)
    values, shown = validation.measure({"denoiser": nn.Identity()}, torch.device("cpu"))
    assert values == {"psnr_db": values["psnr_noisy_db"], "psnr_noisy_db": values["psnr_noisy_db"]}
    assert shown.shape == (96, 3 * 80, 3)
    assert (shown[:, :80] == shown[:, 80:160]).all()
    assert (shown[:, 160:] == picture(0)).all()
