from __future__ import annotations

import torch
from n2b.training.models.edge import EdgeNet
from n2b.training.models.noise2blur import DnNet, count_flops_per_pixel


def test_it_takes_a_sixth_of_the_operations_of_the_papers_network() -> None:
    flops = count_flops_per_pixel(EdgeNet())
    assert flops <= 60_000
    assert flops < count_flops_per_pixel(DnNet()) / 6


def test_its_first_layer_is_a_pixel_unshuffle_that_training_leaves_alone() -> None:
    network = EdgeNet(down=4, up=4, top=4)
    optimizer = torch.optim.Adam(network.parameters(), 0.1, fused=True)
    x = torch.rand(2, 3, 32, 48)
    network(x).square().mean().backward()
    optimizer.step()
    assert torch.equal(network.unshuffle(x), torch.nn.functional.pixel_unshuffle(x, 2))


def test_every_other_weight_is_learned() -> None:
    network = EdgeNet(down=8, up=8, top=8)
    network(torch.rand(2, 3, 64, 64)).square().mean().backward()
    for name, parameter in network.named_parameters():
        if name != "unshuffle.weight":
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name
