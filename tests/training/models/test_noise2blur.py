from __future__ import annotations

import pytest
import torch
from n2b.training.models.noise2blur import DnNet, NENet, count_flops_per_pixel, count_parameters


def test_dnnet_is_the_papers_unet_by_its_parameters_and_operations() -> None:
    network = DnNet()
    assert count_parameters(network) == 991_203  # Noise2Noise, appendix A.1, three channels
    assert count_flops_per_pixel(network) == pytest.approx(2 * 173.9e3, rel=1e-3)


def test_fixed_weights_count_and_activations_do_not() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    network[2].requires_grad_(False)
    assert count_parameters(network) == 13


def test_nenet_has_three_convolutions_of_32_maps() -> None:
    weights = [p.shape for p in NENet().parameters() if p.ndim == 4]
    assert weights == [(32, 3, 3, 3), (32, 32, 3, 3), (3, 32, 3, 3)]


def test_nenet_with_its_skip_starts_near_the_identity() -> None:
    torch.manual_seed(0)
    noise = torch.randn(1, 3, 32, 32) * 0.1
    assert (NENet(skip=True)(noise) - noise).abs().mean() < 0.3 * noise.abs().mean()
    assert (NENet(skip=False)(noise) - noise).abs().mean() > 0.3 * noise.abs().mean()
