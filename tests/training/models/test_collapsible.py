from __future__ import annotations

import copy

import torch
from n2b.training.models.collapsible import ExpandedConvolution, fold
from n2b.training.models.edge import EdgeNet
from n2b.training.models.noise2blur import count_parameters
from torch import nn


def test_folded_it_computes_the_same() -> None:
    layer = ExpandedConvolution(5, 7)
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 5, 9, 11)
    assert torch.allclose(layer(x), layer.folded()(x), atol=1e-5)


def test_its_first_results_have_the_variance_of_its_input() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 64, 64, 64)
    gain = ExpandedConvolution(64, 64)(x).var() / x.var()
    assert 1.5 < gain < 2.6  # 2 / (1 + slope²), as He et al. want it before a LeakyReLU


def test_a_folded_network_has_plain_convolutions_and_the_same_result() -> None:
    torch.manual_seed(0)
    network = EdgeNet(down=4, up=4, top=4).eval()
    folded = fold(copy.deepcopy(network))
    assert not any(isinstance(module, ExpandedConvolution) for module in folded.modules())
    assert {name for name, _ in folded.named_parameters()} >= {"unet.first.weight", "unet.up.0.1.bias"}
    x = torch.rand(1, 3, 64, 96)
    assert torch.allclose(network(x), folded(x), atol=1e-5)
    assert count_parameters(network) == count_parameters(folded)


def test_both_factors_are_learned() -> None:
    layer = ExpandedConvolution(3, 4)
    layer(torch.randn(1, 3, 8, 8)).square().mean().backward()
    for parameter in layer.parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0
