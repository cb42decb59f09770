from __future__ import annotations

import torch
from n2b.training.networks import DnNet, NENet
from n2b.training.objectives import Batch, Noise2Blur
from torch import nn
from torch.nn import functional as F


def small_objective() -> tuple[Noise2Blur, nn.Module, nn.Module]:
    torch.manual_seed(0)
    denoiser, extractor = DnNet(down=4, up=8), NENet(maps=4)
    return Noise2Blur(denoiser, extractor), denoiser, extractor


def small_batch() -> Batch:
    return Batch(
        noisy=torch.rand(2, 3, 32, 32), label=torch.rand(2, 3, 32, 32), clean=torch.rand(2, 3, 32, 32)
    )


def has_gradient(network: nn.Module) -> bool:
    return any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in network.parameters())


def test_n2b_loss_reaches_the_extractor_alone_in_the_convergence_stage() -> None:
    objective, denoiser, extractor = small_objective()
    objective.losses(small_batch(), progress=0.5)["n2b"].backward()
    assert has_gradient(extractor)
    assert not has_gradient(denoiser)


def test_n2c_loss_reaches_the_denoiser_alone_in_the_convergence_stage() -> None:
    objective, denoiser, extractor = small_objective()
    objective.losses(small_batch(), progress=0.5)["n2c"].backward()
    assert has_gradient(denoiser)
    assert not has_gradient(extractor)


def test_both_networks_learn_from_n2b_in_the_initial_stage() -> None:
    objective, denoiser, extractor = small_objective()
    losses = objective.losses(small_batch(), progress=0.0)
    assert set(losses) == {"n2b", "residual"}
    losses["n2b"].backward()
    assert has_gradient(denoiser)
    assert has_gradient(extractor)


class Runaway(nn.Module):
    """A network that has gone wrong: its output is huge."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1e6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale


def test_a_denoiser_gone_wrong_does_not_reach_the_extractors_input() -> None:
    _, _, extractor = small_objective()
    losses = Noise2Blur(Runaway(), extractor).losses(small_batch(), progress=0.5)
    assert losses["n2b"] < 2


def test_an_extractor_gone_wrong_does_not_reach_the_denoisers_input() -> None:
    _, denoiser, _ = small_objective()
    losses = Noise2Blur(denoiser, Runaway()).losses(small_batch(), progress=0.5)
    assert losses["n2c"] < 5


def test_the_losses_are_those_of_algorithm_1() -> None:
    objective, denoiser, extractor = small_objective()
    batch = small_batch()
    losses = objective.losses(batch, progress=0.05)
    noise = extractor(batch.noisy - denoiser(batch.noisy).clamp(0, 1))
    torch.testing.assert_close(losses["n2b"], F.l1_loss(noise, batch.noisy - batch.label))
    torch.testing.assert_close(
        losses["n2c"], F.l1_loss(denoiser(batch.clean + noise.clamp(-1, 1)), batch.clean)
    )
