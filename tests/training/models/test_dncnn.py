from __future__ import annotations

import torch
from n2b.training.models.dncnn import DnCnn
from n2b.training.models.noise2blur import count_flops_per_pixel, count_parameters


def test_it_has_the_papers_layers_by_parameters_and_operations() -> None:
    network = DnCnn()
    weights = 3 * 64 * 9 + 15 * 64 * 64 * 9 + 64 * 3 * 9
    assert count_parameters(network) == weights + 16 * 64 + 3
    assert count_flops_per_pixel(network) == 2 * weights


def test_it_predicts_what_is_to_be_taken_away() -> None:
    network = DnCnn(maps=4)
    x = torch.rand(1, 3, 20, 20)
    with torch.no_grad():
        network.last.weight.zero_()
        assert torch.equal(network(x), x)
        assert network.last.bias is not None
        network.last.bias.fill_(0.25)
    torch.testing.assert_close(network(x), x - 0.25)


def test_it_begins_near_the_identity() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 3, 48, 48)
    assert (DnCnn()(x) - x).abs().mean() < 0.25
